"""Keeps the Feeds in use as their folder has them."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_compactor.feeds.feed_set import FeedSet
from sensorpipe_compactor.feeds.folder import FeedFolder

LOOK_SECONDS: Final = 2.0
"""Seconds between two looks at the folder."""

LOOKS_BETWEEN_ASKS: Final = 15
"""Number of looks after which filters that the broker refused are asked for again."""

log = logging.getLogger(__name__)


class Use(Protocol):
    """Takes Feeds into use."""

    async def __call__(self, feeds: FeedSet) -> None:
        """Take messages of these Feeds, and of no others, from now on."""


class FeedWatcher:
    """Looks at a folder every 2 s, and hands on what has changed."""

    def __init__(self, folder: FeedFolder) -> None:
        self.folder = folder
        self.changes = 0
        """How often other Feeds were taken into use."""
        self._away = ThrottledLogger(log, on_change=False)

    async def run(self, use: Use, ask_again: Callable[[], Awaitable[None]]) -> None:
        """Look until cancelled; call `ask_again` every 30 s."""
        for number in itertools.count(1):
            await asyncio.sleep(LOOK_SECONDS)
            feeds = await self.look()
            if feeds is not None:
                await use(feeds)
            elif number % LOOKS_BETWEEN_ASKS == 0:
                await ask_again()

    async def look(self) -> FeedSet | None:
        """Return the Feeds to use if the folder has changed; None if not."""
        try:
            feeds = await asyncio.to_thread(self.folder.read)
        except OSError as error:
            self._away.warning("The folder of Feeds cannot be read", error=str(error))
            return None
        self._away.resolved("The folder of Feeds can be read again")
        if feeds is not None:
            self.changes += 1
            self._report(feeds)
        return feeds

    def _report(self, feeds: FeedSet) -> None:
        log.info("Feeds in use", extra={"feeds": [feed.name for feed in feeds.feeds]})
        for file, problems in sorted(self.folder.problems.items()):
            log.warning(
                "A Feed file is wrong; what was right of it before stays in use",
                extra={"file": file, "problems": problems},
            )
