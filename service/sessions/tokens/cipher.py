"""Token cipher: a session encrypted into a token that its client keeps.

A token is `cm2.` and, in base64url without padding, a random nonce and what is sealed,
encrypted and authenticated with AES-256-GCM-SIV (RFC 8452): the chain it belongs to,
the model's name and the session's record. Not AES-GCM: its random 96-bit nonces are
safe for about 2**32 tokens a key, because one repeated nonce gives away the
authentication key. In GCM-SIV a repeated nonce only shows whether two equal memories
were sealed, so billions of tokens a key are fine.

The tenant is bound as associated data: for another tenant a token is as good as noise,
and nobody can learn that it is one. The model is inside, so that an error
can name the right model to that tenant; step, model version, network and expiry are in
the record. A token opens until it expires, as often as the client sends it; to refuse
old ones is for `service.sessions.tokens.chains`.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from service.errors import (
    CorruptRecord,
    PlainMemoryRefused,
    TokenExpired,
    TokenForeign,
    TokenInvalid,
)
from service.sessions.record import Session, decode, encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

Plain = Literal["off", "show", "accept"]
PREFIX = "cm2."
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
CHAIN_BYTES = 16
HEADER = Struct("<16sH")  # chain, bytes of the model's name


class OpenedToken(NamedTuple):
    """Content of a token: the memory, and the chain of tokens it belongs to."""

    chain: bytes
    record: Session


class TokenCipher:
    """Seals sessions into tokens and opens them.

    Args:
        keys: 32-byte keys. The first seals; all open, so that a key can be replaced
            by putting the new one in front.
        has_chains: Whether the newest step of each chain is kept in the store, so that
            older tokens are refused.
        plain: What is allowed of memory that is not sealed: nothing (`off`), to show
            it, or to accept it back too.

    Raises:
        ValueError: There is no key, or one has another length.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        has_chains: bool = False,
        plain: Plain = "show",
    ) -> None:
        lengths = [len(key) for key in keys]
        if not keys or any(length != KEY_BYTES for length in lengths):
            raise ValueError(
                f"The sealing keys have lengths {lengths}; expected at least one key, "
                f"each of {KEY_BYTES} random bytes."
            )
        self._keys = list(keys)
        self.has_chains = has_chains
        self._plain = plain

    @cached_property
    def _ciphers(self) -> list[AESGCMSIV]:
        # A start does not wait for the library, nor does a service without tokens.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

        return [AESGCMSIV(key) for key in self._keys]

    def seal(
        self,
        record: Session,
        *,
        tenant: str,
        model: str,
        chain: bytes,
    ) -> str:
        """Return the token that holds a session.

        Args:
            record: The session.
            tenant: Tenant it belongs to.
            model: The model it is for.
            chain: The chain it belongs to.
        """
        name = model.encode()
        content = HEADER.pack(chain, len(name)) + name + encode(record)
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, content, _associated_data(tenant))
        return PREFIX + _to_text(nonce + sealed)

    def open(self, token: str, *, tenant: str, model: str, now: float) -> OpenedToken:
        """Return what a token holds.

        Args:
            token: What `seal` returned.
            tenant: Tenant it must belong to.
            model: The model it must be for.
            now: The present, in seconds since the epoch.

        Raises:
            TokenInvalid: It is no token, was changed, or is another tenant's or
                service's; the caller does not learn which.
            TokenForeign: It is the tenant's, but of another model.
            TokenExpired: It was genuine, but its session has expired.
        """
        content = self._decrypt(_from_text(token), _associated_data(tenant))
        chain, size = HEADER.unpack_from(content)
        sealed_for = content[HEADER.size : HEADER.size + size].decode()
        if sealed_for != model:
            raise _foreign(sealed_for, model)
        record = _decode(content[HEADER.size + size :])
        if now >= record.expires_at:
            raise TokenExpired(
                f"the memory token expired {now - record.expires_at:.0f} seconds ago, "
                f'at step {record.step}. Send "memory": null to restart.',
                step=record.step,
            )
        return OpenedToken(chain, record)

    def check_plain(self, *, is_sent: bool, is_wanted: bool) -> None:
        """Refuse memory in the open where it is not allowed.

        Raises:
            PlainMemoryRefused: The client sent some, or wants some, and may not.
        """
        if is_sent and self._plain != "accept":
            raise PlainMemoryRefused(
                "the row's memory is in the open, where anybody can change it; this "
                'service takes sealed memory only. Send the token, or "memory": null, '
                "or run the service with CARRYOVER_PLAIN_MEMORY=accept."
            )
        if is_wanted and self._plain == "off":
            raise PlainMemoryRefused(
                'the body says "memory_format": "plain"; this service seals all memory '
                "that clients hold. Leave it out, or run the service with "
                "CARRYOVER_PLAIN_MEMORY=show."
            )

    def _decrypt(self, sealed: bytes, bound: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, content, bound)
            except InvalidTag:
                continue
        raise _invalid()


def begin_chain() -> bytes:
    """Name a new chain."""
    return os.urandom(CHAIN_BYTES)


def digest_use(token: str | None, events: bytes) -> bytes:
    """Digest a token and the events it is used with."""
    sent = (token or "").encode("utf-8", "replace")
    return blake2b(events, key=blake2b(sent).digest(), digest_size=16).digest()


def _decode(content: bytes) -> Session:
    try:
        record = decode(content)
    except CorruptRecord as error:  # sealed by a release with another format
        raise _invalid() from error
    if not isinstance(record, Session):
        raise _invalid()
    return record


def _associated_data(tenant: str) -> bytes:
    return f"{PREFIX}\0{tenant}".encode()


def _foreign(sealed_for: str, model: str) -> TokenForeign:
    return TokenForeign(
        f"the memory token is of model {sealed_for!r}; this call is for {model!r}. "
        'Send it to the model it came from, or "memory": null to restart.',
        model=sealed_for,
    )


def _to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_text(token: str) -> bytes:
    text = token.removeprefix(PREFIX)
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise _invalid() from error
    # base64 skips foreign characters and spare bits; one token has one spelling.
    if len(data) < NONCE_BYTES + TAG_BYTES or PREFIX + _to_text(data) != token:
        raise _invalid()
    return data


def _invalid() -> TokenInvalid:
    return TokenInvalid(
        "the memory token was not sealed by this service for this caller, or "
        "it was changed on the way. Send back the last answer's token as it was, or "
        '"memory": null to restart.'
    )
