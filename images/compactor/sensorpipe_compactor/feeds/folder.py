"""The folder with Feed files: read when its content changes, as far as it is right.

A bad file keeps what was last read of it, and never stops the others.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sensorpipe_schema.feed.checks import overlaps
from sensorpipe_schema.feed.manifest import Feed, FeedError
from sensorpipe_schema.sensor import KIND as SENSOR
from sensorpipe_schema.strict_yaml import SUFFIXES, DocumentError, read_documents

from sensorpipe_compactor.feeds.feed_set import FeedSet

MAX_FILES: Final = 1_000
"""Largest number of files read; the last ones in the order of names are left out."""

Parsed = list[Feed] | list[str]
"""The Feeds of a file, or everything wrong in it."""


class FeedFolder:
    """Reads the Feeds of a folder, keeping what was right before."""

    def __init__(self, folder: Path) -> None:
        self.problems: dict[str, list[str]] = {}
        """What is wrong now, by the name of the file."""
        self.digests: dict[str, bytes] = {}
        self._folder = folder
        self._feeds: dict[str, list[Feed]] = {}
        """The Feeds in use, by the name of their file."""
        self._wanted: dict[str, list[Feed]] = {}
        """The Feeds that the files have now, whether they fit together or not."""
        self._unreadable: dict[str, list[str]] = {}

    def read(self) -> FeedSet | None:
        """Return the Feeds to use if any file has changed; None if not. This blocks.

        Raises OSError if the folder cannot be read.
        """
        files = sorted(_files(self._folder))[:MAX_FILES]
        digests = {file.name: _digest(file) for file in files}
        if digests == self.digests:
            return None
        for file in files:
            if digests[file.name] != self.digests.get(file.name):
                self._parse(file)
        for name in self._wanted.keys() | self._unreadable.keys():
            if name not in digests:
                self._wanted.pop(name, None)
                self._unreadable.pop(name, None)
        self.digests = digests
        self._feeds, refused = fitting(self._feeds, self._wanted, self._unreadable)
        self.problems = self._unreadable | refused
        return FeedSet(feed for feeds in self._feeds.values() for feed in feeds)

    def _parse(self, file: Path) -> None:
        feeds, problems = _read(file)
        if problems:
            self._unreadable[file.name] = problems
            self._wanted.pop(file.name, None)
        else:
            self._wanted[file.name] = feeds
            self._unreadable.pop(file.name, None)


def fitting(
    before: Mapping[str, list[Feed]],
    wanted: Mapping[str, list[Feed]],
    unreadable: Mapping[str, object],
) -> tuple[dict[str, list[Feed]], dict[str, list[str]]]:
    """Return the Feeds to use by file, and why those of other files are not used.

    What was in use stays so, until its file is gone or has another version that fits.
    """
    used = {name: feeds for name, feeds in before.items() if name in wanted or name in unreadable}
    refused: dict[str, list[str]] = {}
    left = [name for name in sorted(wanted) if wanted[name] != used.get(name)]
    while left:
        refused = {}
        for name in left:
            others = {other: feeds for other, feeds in used.items() if other != name}
            problems = _conflicts(wanted[name], others)
            if problems:
                refused[name] = problems
            else:
                used[name] = wanted[name]
        if len(refused) == len(left):
            break
        left = list(refused)  # what they were refused for may be gone
    return used, refused


def _conflicts(feeds: list[Feed], others: Mapping[str, list[Feed]]) -> list[str]:
    """Return why Feeds cannot be used beside each other and those of other files."""
    placed = [(feed, name) for name, some in others.items() for feed in some]
    placed += [(feed, "") for feed in feeds]
    problems = []
    names: dict[str, str] = {}
    for feed, name in placed:
        if feed.name in names and not name:
            where = f" in {names[feed.name]}" if names[feed.name] else ""
            problems.append(f"metadata.name: must be unique; {feed.name!r} is also{where}")
        names.setdefault(feed.name, name)
    active = [(feed, name) for feed, name in placed if not feed.spec.suspend]
    for i, j in overlaps(feed.spec.topic for feed, _ in active):
        (feed, name), (other, there) = active[i], active[j]
        if not name:
            where = f" in {there}" if there else ""
            problems.append(
                f"spec.topic: must not overlap another Feed; {feed.spec.topic.text!r} of "
                f"{feed.name!r} and {other.spec.topic.text!r} of {other.name!r}{where} "
                "take the same topics"
            )
    return problems


def _files(folder: Path) -> Iterable[Path]:
    """Return the manifests in a folder; a mounted ConfigMap has hidden folders beside them."""
    return [
        file
        for file in folder.iterdir()
        if file.suffix in SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""


def _read(file: Path) -> tuple[list[Feed], list[str]]:
    """Return the Feeds of a file, and everything that is wrong in it."""
    feeds: list[Feed] = []
    problems: list[str] = []
    try:
        documents = read_documents(file)
    except DocumentError as error:
        return [], [str(error)]
    for number, document in enumerate(documents, 1):
        if isinstance(document, dict) and document.get("kind") == SENSOR:
            continue  # a generator's
        place = f"document {number}: " if len(documents) > 1 else ""
        try:
            feeds.append(Feed.parse(document))
        except FeedError as error:
            problems += [f"{place}{problem}" for problem in error.problems]
    return feeds, problems
