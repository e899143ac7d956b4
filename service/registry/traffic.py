"""Traffic of a model: on which version new sessions begin, and which one shadows them.

A session is in a share by a hash of its key, so every worker and replica agrees, and a
larger share contains each smaller one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import msgspec

from service.errors import Conflict

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Number = Annotated[int, msgspec.Meta(ge=0)]

HASH_BYTES = 8
HASHES = 2.0 ** (8 * HASH_BYTES)
# Persons of the hash: a canary's share and a shadow's are of different sessions.
CANARY_PERSON, SHADOW_PERSON = b"canary", b"shadow"


class Traffic(msgspec.Struct, array_like=True, frozen=True):
    """Versions by their part in the traffic of a model; 0 for no version.

    Attributes:
        stable: Serves the address without a version; 0 for the newest.
        canary: Begins a share of new sessions.
        share: Share of new sessions, from 0 to 1.
        shadow: Follows a share of the sessions; its answers are not sent.
        shadow_share: Share of sessions, from 0 to 1.
        previous: Was stable before the last promotion.
    """

    stable: Number = 0
    canary: Number = 0
    share: Share = 0.0
    shadow: Number = 0
    shadow_share: Share = 0.0
    previous: Number = 0

    def versions(self) -> set[int]:
        """Return the versions that are to be served."""
        return {self.stable, self.canary, self.shadow, self.previous} - {0}

    def version_labels(self) -> dict[str, int]:
        """Return the versions that addresses can name by their part."""
        parts = {"stable": self.stable, "canary": self.canary}
        return {label: version for label, version in parts.items() if version}

    def shares(self) -> list[tuple[int, str, float]]:
        """Return each version on trial, its part and its share."""
        parts = [
            (self.canary, "canary", self.share),
            (self.shadow, "shadow", self.shadow_share),
        ]
        return [part for part in parts if part[0]]

    def promote(self, version: int = 0) -> Traffic:
        """Let a version be stable from now on; 0 for the canary.

        Raises:
            Conflict: No version is named, and there is no canary.
        """
        version = version or self.canary
        if not version:
            raise Conflict(
                "version is missing, and the model has no canary; expected one of "
                "them. Name the version to promote."
            )
        previous = self.previous if version == self.stable else self.stable
        shadow = 0 if version == self.shadow else self.shadow
        return Traffic(
            version, 0, 0.0, shadow, self.shadow_share if shadow else 0.0, previous
        )

    def rollback(self) -> Traffic:
        """Undo the canary, or else the last promotion.

        Raises:
            Conflict: There is neither.
        """
        if self.canary:
            return msgspec.structs.replace(self, canary=0, share=0.0)
        if not self.previous:
            raise Conflict(
                "the model has neither a canary nor a version that was stable before; "
                "expected one of them. Name a version to promote instead."
            )
        return msgspec.structs.replace(self, stable=self.previous, previous=0)


NO_TRAFFIC = Traffic()


def is_in_share(key: bytes, share: float, purpose: bytes = CANARY_PERSON) -> bool:
    """Return whether a session belongs to a share of all.

    Args:
        key: The store's key of the session: tenant, model and id.
        share: From 0 to 1.
        purpose: `CANARY_PERSON` or `SHADOW_PERSON`.
    """
    if not share:
        return False
    digest = blake2b(key, digest_size=HASH_BYTES, person=purpose).digest()
    return int.from_bytes(digest) < share * HASHES
