"""The compactor's folder of Feeds in a run: links to the files of the folders that were named."""

import asyncio
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sensorpipe_schema.strict_yaml import SUFFIXES

_PERIOD_SECONDS: Final = 1.0
"""Time between two looks for new files; the compactor looks at its folder every 2 s."""


class FeedLinks:
    """Links files with Feeds into one folder, and those that are added while the run lasts.

    A link leads to what a file has at any time: a changed file needs no new one, and one that is
    removed is gone for the compactor, too.
    """

    def __init__(self, folder: Path, named: Iterable[Path], with_feeds: Iterable[Path]) -> None:
        self._folder = folder
        self._folders = [path.resolve() for path in named if path.is_dir()]
        self._known = set(self._files())
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run with the same --data
        folder.mkdir(parents=True)
        self._count = 0
        for file in with_feeds:
            self._link(file.resolve())

    async def follow(self) -> None:
        """Link new files until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            await asyncio.to_thread(self.link_new)

    def link_new(self) -> None:
        """Link the files that were added to the folders."""
        for file in self._files():
            if file not in self._known:
                self._known.add(file)
                self._link(file)

    def _files(self) -> list[Path]:
        files: list[Path] = []
        for folder in self._folders:
            with suppress(OSError):  # it is gone, for now
                files += [file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES]
        return files

    def _link(self, file: Path) -> None:
        self._known.add(file)
        (self._folder / f"{self._count:04}-{file.name}").symlink_to(file)
        self._count += 1
