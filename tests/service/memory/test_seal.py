from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from service.errors import TokenExpired, TokenForeign, TokenInvalid
from service.sessions.record import Session, Tombstone
from service.sessions.tokens.cipher import TokenCipher, begin_chain
from tests.servers import ROOT

SESSION = Session(
    step=7,
    model_version=2,
    network=bytes(range(16)),
    created_at=1_000.0,
    updated_at=1_500.0,
    expires_at=2_000.0,
    idle_seconds=500.0,
    tensors=b"memory!!" * 4,
)
KEY, NEW_KEY = b"k" * 32, b"n" * 32
NOW = 1_600.0


@pytest.fixture
def seal() -> TokenCipher:
    return TokenCipher([KEY])


def open_token(seal: TokenCipher, token: str, **other: object) -> Session:
    arguments = {"tenant": "acme", "model": "nature", "now": NOW} | other
    return seal.open(token, **arguments).record  # type: ignore[arg-type]


def seal_session(seal: TokenCipher) -> str:
    return seal.seal(SESSION, tenant="acme", model="nature", chain=begin_chain())


def test_token_opens_to_the_session_that_was_sealed(seal: TokenCipher) -> None:
    assert open_token(seal, seal_session(seal)) == SESSION


def test_token_is_url_safe_text_that_hides_the_memory(seal: TokenCipher) -> None:
    token = seal_session(seal)

    assert token.startswith("cm2.")
    assert token.replace(".", "").replace("-", "").replace("_", "").isalnum()
    assert b"memory!!" not in urlsafe_b64decode(token[4:] + "===")


def test_same_session_sealed_twice_gives_different_tokens(seal: TokenCipher) -> None:
    assert seal_session(seal) != seal_session(seal)


def test_every_changed_character_is_refused(seal: TokenCipher) -> None:
    token = seal_session(seal)

    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        with pytest.raises(TokenInvalid):
            open_token(seal, token[:place] + other + token[place + 1 :])


def test_every_flipped_byte_is_refused(seal: TokenCipher) -> None:
    token = seal_session(seal)
    data = urlsafe_b64decode(token[4:] + "=" * (-len(token[4:]) % 4))

    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x80
        text = urlsafe_b64encode(damaged).rstrip(b"=").decode()
        with pytest.raises(TokenInvalid):
            open_token(seal, f"cm2.{text}")


def test_every_truncation_is_refused(seal: TokenCipher) -> None:
    token = seal_session(seal)

    for length in range(len(token)):
        with pytest.raises(TokenInvalid):
            open_token(seal, token[:length])


@pytest.mark.parametrize("spelling", ["{}=", "{} ", "{}\n", "{}A", " {}", "{}é", "!{}"])
def test_only_one_spelling_of_a_token_is_accepted(
    seal: TokenCipher, spelling: str
) -> None:
    with pytest.raises(TokenInvalid):
        open_token(seal, spelling.format(seal_session(seal)))


def test_spare_bits_of_the_last_character_must_be_zero() -> None:
    seal = TokenCipher([KEY])
    token = seal_session(seal)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    opened = 0

    for character in alphabet:
        try:
            open_token(seal, token[:-1] + character)
            opened += 1
        except TokenInvalid:
            pass

    assert opened == 1


@pytest.mark.parametrize(
    "token", ["", "cm2.", "cm2", "hello", "cm1.AAAA", "é", "\ud800"]
)
def test_what_is_no_token_is_refused(seal: TokenCipher, token: str) -> None:
    with pytest.raises(TokenInvalid, match="last answer's token"):
        open_token(seal, token)


@pytest.mark.parametrize("tenant", ["umbrella", "", "acm", "acmee", "acme\0"])
def test_token_of_another_tenant_is_as_good_as_noise(
    seal: TokenCipher, tenant: str
) -> None:
    with pytest.raises(TokenInvalid):
        open_token(seal, seal_session(seal), tenant=tenant)


def test_token_of_another_model_says_of_which(seal: TokenCipher) -> None:
    with pytest.raises(TokenForeign, match="is of model 'nature'") as caught:
        open_token(seal, seal_session(seal), model="roommate")

    assert caught.value.members == {"model": "nature"}


def test_expired_token_of_another_model_is_foreign(seal: TokenCipher) -> None:
    with pytest.raises(TokenForeign):
        open_token(seal, seal_session(seal), model="roommate", now=9_000.0)


def test_token_of_another_tenant_and_model_is_as_good_as_noise(
    seal: TokenCipher,
) -> None:
    with pytest.raises(TokenInvalid):
        open_token(seal, seal_session(seal), tenant="umbrella", model="roommate")


def test_chain_continues_and_a_new_sequence_begins_another(seal: TokenCipher) -> None:
    opened = seal.open(seal_session(seal), tenant="acme", model="nature", now=NOW)

    token = seal.seal(SESSION, tenant="acme", model="nature", chain=opened.chain)

    later = seal.open(token, tenant="acme", model="nature", now=NOW)
    other = seal.open(seal_session(seal), tenant="acme", model="nature", now=NOW)
    assert later.chain == opened.chain != other.chain


def test_size_of_a_token_is_as_documented(seal: TokenCipher) -> None:
    lstm_128 = SESSION.replace(tensors=bytes(4 * 2 * 128))

    token = seal.seal(lstm_128, tenant="acme", model="nature", chain=begin_chain())

    document = (ROOT / "docs" / "reference" / "sessions.md").read_text()
    assert f"{len(token):,} characters" in document


def test_refusals_do_not_say_why(seal: TokenCipher) -> None:
    token = seal_session(seal)
    details = set()

    for wrong, other in [
        ("hello", {}),
        (token[:-1], {}),
        (token, {"tenant": "umbrella"}),
        (seal_session(TokenCipher([NEW_KEY])), {}),
    ]:
        with pytest.raises(TokenInvalid) as caught:
            open_token(seal, wrong, **other)
        details.add((caught.value.detail, tuple(caught.value.members)))

    assert len(details) == 1


def test_sealed_record_that_is_no_session_is_refused(seal: TokenCipher) -> None:
    tombstone = Tombstone("ended", 1, 0.0)
    token = seal.seal(tombstone, tenant="acme", model="nature", chain=begin_chain())  # type: ignore[arg-type]

    with pytest.raises(TokenInvalid):
        open_token(seal, token)


def test_token_opens_until_one_instant_before_it_expires(seal: TokenCipher) -> None:
    token = seal_session(seal)

    assert open_token(seal, token, now=1_999.999) == SESSION
    with pytest.raises(TokenExpired, match="0 seconds ago, at step 7") as caught:
        open_token(seal, token, now=2_000.0)

    assert caught.value.members == {"step": 7}


def test_expired_token_of_another_tenant_is_just_invalid(seal: TokenCipher) -> None:
    with pytest.raises(TokenInvalid):
        open_token(seal, seal_session(seal), tenant="umbrella", now=9_000.0)


def test_token_of_an_older_key_opens_and_new_ones_use_the_first_key() -> None:
    old, rotated, new = (
        TokenCipher([KEY]),
        TokenCipher([NEW_KEY, KEY]),
        TokenCipher([NEW_KEY]),
    )

    assert open_token(rotated, seal_session(old)) == SESSION
    assert open_token(new, seal_session(rotated)) == SESSION
    with pytest.raises(TokenInvalid):
        open_token(new, seal_session(old))


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b""]])
def test_impossible_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="each of 32 random bytes"):
        TokenCipher(keys)
