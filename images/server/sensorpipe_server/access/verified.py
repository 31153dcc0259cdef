"""Tokens that were verified before, so that each signature is verified once and not each time.

Only what never changes of a token is kept: what its key has signed. Whether the key is still one
of its issuer's, and the time right, is checked at each use. Refusals are not kept. Pure.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sensorpipe_server.access.grants import Permissions
from sensorpipe_server.access.keys import VerifyingKey
from sensorpipe_server.access.tokens import Accepted, Claimed

MOST: Final = 1000
"""Largest number of tokens that are kept; the one that was not used for longest goes first."""


@dataclass(frozen=True, slots=True)
class Known:
    """A token that was accepted, and what it may read by the rules of that time."""

    claimed: Claimed
    accepted: Accepted
    permissions: Permissions

    def is_of(self, keys: Sequence[VerifyingKey]) -> bool:
        """Whether its key is one of these, itself and not another one with the same name.

        Keys that are fetched or read anew are others, so with them it is verified again.
        """
        return any(each is self.accepted.key for each in keys)


class VerifiedTokens:
    """Tokens that were accepted by one set of rules, by a hash: none of them is kept itself."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[bytes, Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, token: str) -> Known | None:
        """Return what is known of a token; None if it is to be verified."""
        digest = _digest(token)
        found = self._known.pop(digest, None)
        if found is not None:
            self._known[digest] = found  # as the one that was used last
        return found

    def keep(self, token: str, known: Known) -> None:
        """Remember a token that was accepted."""
        self._known[_digest(token)] = known
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
