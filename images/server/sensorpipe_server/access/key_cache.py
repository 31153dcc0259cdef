"""When the keys of an issuer are fetched, and for how long they are used. Pure.

Times are in seconds of a clock that never goes back.
"""

from collections.abc import Sequence
from typing import Final

from sensorpipe_server.access.keys import VerifyingKey

REFRESH_SECONDS: Final = 600.0
"""Seconds after which keys are fetched again, so that a withdrawn one is soon refused."""

RETRY_SECONDS: Final = 30.0
"""Least seconds from one fetch to the next: a flood of unknown keys causes no other."""

KEEP_SECONDS: Final = 86_400.0
"""Seconds for which keys are used while the issuer cannot be reached: a day."""


class KeyCache:
    """The keys of one issuer that are fetched."""

    def __init__(self) -> None:
        self._keys: tuple[VerifyingKey, ...] = ()
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")

    def keys(self, now: float) -> tuple[VerifyingKey, ...]:
        """Return the keys that may be used; none before the first fetch, or if it is long ago."""
        return self._keys if now - self._fetched_at < KEEP_SECONDS else ()

    def may_ask(self, now: float) -> bool:
        """Whether the keys may be fetched now."""
        return now - self._asked_at >= RETRY_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether the keys should be fetched now, without a request that needs them."""
        return now - self._fetched_at >= REFRESH_SECONDS and self.may_ask(now)

    def asked(self, now: float) -> None:
        """Note that a fetch begins."""
        self._asked_at = now

    def fetched(self, keys: Sequence[VerifyingKey], now: float) -> None:
        """Take the keys of a fetch in the place of the earlier ones."""
        self._keys, self._fetched_at = tuple(keys), now
