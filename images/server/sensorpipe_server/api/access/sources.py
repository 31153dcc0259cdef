"""Where the keys of each issuer come from: a file, or the issuer itself."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.access.key_cache import KeyCache
from sensorpipe_server.access.keys import VerifyingKey, fitting
from sensorpipe_server.access.rules import Issuer
from sensorpipe_server.access.tokens import Claimed
from sensorpipe_server.api.access.discovery import FetchError, fetch_keys
from sensorpipe_server.api.http import metrics

Keys = tuple[VerifyingKey, ...]
Fetch = Callable[[Issuer, Path | None], Awaitable[Keys]]

MOST_WAITING: Final = 8
"""Largest number of requests that wait for the keys of an issuer.

An issuer that does not answer must not occupy the 64 requests that are answered at once.
"""

log: Final = logging.getLogger(__name__)


class NoKeysError(Exception):
    """The keys of an issuer are not known now: it does not answer, or has not answered yet."""


class Source(Protocol):
    """Where the keys of an issuer come from."""

    async def keys_for(self, claimed: Claimed) -> Keys:
        """Return the keys for a token, which may not have its key; raise NoKeysError."""

    async def refresh(self) -> None:
        """Fetch keys where that is due."""


class FileKeys:
    """The keys of a file, as it was read."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def keys_for(self, _claimed: Claimed) -> Keys:
        """Return all keys."""
        return self._keys

    async def refresh(self) -> None:
        """Do nothing: the files are watched together."""


class FetchedKeys:
    """The keys that an issuer answers with; see KeyCache for when it is asked."""

    def __init__(
        self,
        issuer: Issuer,
        folder: Path,
        fetch: Fetch = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer: Final = issuer
        self._ca_file = folder / issuer.ca_file if issuer.ca_file else None
        self._fetch = fetch
        self._clock = clock
        self._cache = KeyCache()
        self._asking = asyncio.Lock()
        self._waiting = 0
        self._problem = ThrottledLogger(log, on_change=False)

    async def keys_for(self, claimed: Claimed) -> Keys:
        """Return the keys; if none fits the token, those of a fetch, which is seldom allowed.

        Raises NoKeysError if there are none at all, or too many requests wait for them.
        """
        if not self._fits(claimed):
            if self._waiting >= MOST_WAITING:
                raise NoKeysError
            self._waiting += 1
            try:
                async with self._asking:  # others may have brought the key meanwhile
                    if not self._fits(claimed) and self._cache.may_ask(self._clock()):
                        await self._ask()
            finally:
                self._waiting -= 1
        keys = self._cache.keys(self._clock())
        if not keys:
            raise NoKeysError
        return keys

    async def refresh(self) -> None:
        """Fetch the keys if they are old."""
        if self._cache.is_due(self._clock()):
            async with self._asking:
                if self._cache.is_due(self._clock()):
                    await self._ask()

    def _fits(self, claimed: Claimed) -> bool:
        keys = self._cache.keys(self._clock())
        return bool(fitting(keys, claimed.algorithm, claimed.kid))

    async def _ask(self) -> None:
        self._cache.asked(self._clock())
        fields = {"issuer": self.issuer.issuer}
        try:
            keys = await self._fetch(self.issuer, self._ca_file)
        except FetchError as error:
            metrics.ACCESS_KEY_FETCHES.labels("failed").inc()
            self._problem.warning(
                "The keys of an issuer cannot be fetched; known ones stay in use for a day",
                **fields,
                error=str(error)[:500],
            )
        else:
            metrics.ACCESS_KEY_FETCHES.labels("fetched").inc()
            self._cache.fetched(keys, self._clock())
            self._problem.resolved("The keys of the issuer are fetched again", **fields)
