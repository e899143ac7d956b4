"""Memory held by the client: a session sealed into a token, and opened again.

A token is `cm1.` and, in base64url without padding, a random nonce and the session's
record, encrypted and authenticated with AES-256-GCM-SIV (RFC 8452). Not AES-GCM: its
random 96-bit nonces are safe for about 2**32 tokens a key, because one repeated nonce
gives away the authentication key. In GCM-SIV a repeated nonce only shows whether two
equal memories were sealed, so billions of tokens a key are fine. Tenant and model are
bound as associated data; step, model version, network and expiry are in the record.

It does not know sessions the service remembers, and keeps no record of tokens: an old
token opens until it expires, as often as the client sends it.
"""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from service.errors import CorruptRecord, TokenExpired, TokenInvalid
from service.memory.record import Session, decode, encode

PREFIX = "cm1."
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class Seal:
    """Seals sessions into tokens and opens them.

    Args:
        keys: 32-byte keys. The first seals; all open, so that a key can be replaced
            by putting the new one in front.

    Raises:
        ValueError: There is no key, or one has another length.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        lengths = [len(key) for key in keys]
        if not keys or any(length != KEY_BYTES for length in lengths):
            raise ValueError(
                f"The sealing keys have lengths {lengths}; expected at least one key, "
                f"each of {KEY_BYTES} random bytes."
            )
        self._ciphers = [AESGCMSIV(key) for key in keys]

    def seal(self, record: Session, *, tenant: str, model: str) -> str:
        """Return the token that holds a session."""
        nonce = os.urandom(NONCE_BYTES)
        bound = _associated_data(tenant, model)
        sealed = self._ciphers[0].encrypt(nonce, encode(record), bound)
        return PREFIX + _to_text(nonce + sealed)

    def open(self, token: str, *, tenant: str, model: str, now: float) -> Session:
        """Return the session a token holds.

        Args:
            token: What `seal` returned.
            tenant: Whose token it must be.
            model: The model it must be for.
            now: The present, in seconds since the epoch.

        Raises:
            TokenInvalid: It is no token, was changed, or is another tenant's, model's
                or service's; the caller cannot tell which.
            TokenExpired: It was genuine, but its session has expired.
        """
        record = self._decrypt(_from_text(token), _associated_data(tenant, model))
        if now >= record.expires_at:
            raise TokenExpired(
                f"the memory token expired {now - record.expires_at:.0f} seconds ago, "
                f'at step {record.step}. Send "memory": null to begin anew.',
                step=record.step,
            )
        return record

    def _decrypt(self, sealed: bytes, bound: bytes) -> Session:
        nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                record = decode(cipher.decrypt(nonce, content, bound))
            except InvalidTag:
                continue
            except CorruptRecord as error:  # sealed by a release with another format
                raise _invalid() from error
            if isinstance(record, Session):
                return record
        raise _invalid()


def load_or_create_key(path: Path) -> bytes:
    """Return the key in a file, creating it with mode 0600 if there is none.

    Processes that start together get the same key: the file is complete before it
    gets its name, and only the first can give it.

    Raises:
        ValueError: The file does not hold 32 bytes.
        OSError: The file can be neither read nor created.
    """
    if not path.exists():
        _create_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"The key file {path} holds {len(key)} bytes; expected {KEY_BYTES} random "
            "bytes. Restore it, or delete it to have a new one made."
        )
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as f:
            f.write(secrets.token_bytes(KEY_BYTES))
            f.flush()
            os.fsync(f.fileno())
        # Not rename: it would replace the key of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _associated_data(tenant: str, model: str) -> bytes:
    # Lengths in front, so that no two pairs of names give the same bytes.
    parts = [part.encode() for part in (PREFIX, tenant, model)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


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
        "the memory token was not sealed by this service for this caller and model, or "
        "it was changed on the way. Send back the last answer's token as it was, or "
        '"memory": null to begin anew.'
    )
