"""The folder with Feed files: read when its content changes, as far as it is right.

A bad file keeps what was last read of it, and never stops the others.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sensorpipe_schema.feed.manifest import Feed, FeedError
from sensorpipe_schema.feed.report import file_digest
from sensorpipe_schema.feed.topic_index import TopicIndex
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
        self.digests: dict[str, str] = {}
        """Of the content of each file as last read, by name; empty if it could not be read."""
        self.places: dict[str, tuple[str, str]] = {}
        """File, and digest of the version in use, of each Feed in use, by its full name."""
        self._folder = folder
        self._feeds: dict[str, list[Feed]] = {}
        """The Feeds in use, by the name of their file."""
        self._wanted: dict[str, list[Feed]] = {}
        """The Feeds that the files have now, whether they fit together or not."""
        self._unreadable: dict[str, list[str]] = {}
        self._used_digests: dict[str, str] = {}

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
        self._note_places()
        return FeedSet(feed for feeds in self._feeds.values() for feed in feeds)

    def _note_places(self) -> None:
        self._used_digests = {
            name: self._used_digests.get(name, "") if name in self.problems else self.digests[name]
            for name in self._feeds
        }
        self.places = {
            feed.full_name: (name, self._used_digests[name])
            for name, feeds in self._feeds.items()
            for feed in feeds
        }

    def _parse(self, file: Path) -> None:
        feeds, problems = _read(file)
        if problems:
            self._unreadable[file.name] = problems
            self._wanted.pop(file.name, None)
        else:
            self._wanted[file.name] = feeds
            self._unreadable.pop(file.name, None)


class _InUse:
    """Feeds that fit together, by the name of their file."""

    def __init__(self, files: Mapping[str, list[Feed]]) -> None:
        self.files = dict(files)
        self._take_in(self.files)

    def put(self, name: str, feeds: list[Feed]) -> None:
        """Use these Feeds of a file, in place of those before."""
        is_new = name not in self.files
        self.files[name] = feeds
        self._take_in({name: feeds} if is_new else self.files, afresh=not is_new)

    def conflicts(self, name: str, feeds: list[Feed]) -> list[str]:
        """Return why the Feeds of a file cannot be used beside each other and those of others."""
        problems, own = [], _InUse({})
        for number, feed in enumerate(feeds):
            for place in (own, self):
                there = place._names.get(feed.full_name)  # noqa: SLF001  our own class
                if there is not None and there != name:
                    where = f" in {there}" if place is self else ""
                    problems.append(
                        f"metadata.name: must be unique; {feed.full_name!r} is also{where}"
                    )
                problems += place._overlaps(feed, name)  # noqa: SLF001  our own class
            own.put(f"\0{number}", [feed])
        return sorted(problems)

    def _take_in(self, files: Mapping[str, list[Feed]], *, afresh: bool = True) -> None:
        if afresh:
            self._names: dict[str, str] = {}
            self._topics = TopicIndex[tuple[Feed, str]]()
        for name, feeds in files.items():
            for feed in feeds:
                self._names.setdefault(feed.full_name, name)
                if not feed.spec.suspend:
                    self._topics.add(feed.spec.topic, (feed, name))

    def _overlaps(self, feed: Feed, name: str) -> list[str]:
        if feed.spec.suspend:
            return []
        return [
            f"spec.topic: must not overlap another Feed; {feed.spec.topic.text!r} of "
            f"{feed.full_name!r} and {topic.text!r} of {other.full_name!r}"
            f"{'' if there.startswith(chr(0)) else f' in {there}'} take the same topics"
            for topic, (other, there) in self._topics.overlapping(feed.spec.topic)
            if there != name
        ]


def fitting(
    before: Mapping[str, list[Feed]],
    wanted: Mapping[str, list[Feed]],
    unreadable: Mapping[str, object],
) -> tuple[dict[str, list[Feed]], dict[str, list[str]]]:
    """Return the Feeds to use by file, and why those of other files are not used.

    What was in use stays so, until its file is gone or has another version that fits.
    """
    kept = {name: feeds for name, feeds in before.items() if name in wanted or name in unreadable}
    used = _InUse(kept)
    refused: dict[str, list[str]] = {}
    left = [name for name in sorted(wanted) if wanted[name] != kept.get(name)]
    while left:
        refused = {}
        for name in left:
            if problems := used.conflicts(name, wanted[name]):
                refused[name] = problems
            else:
                used.put(name, wanted[name])
        if len(refused) == len(left):
            break
        left = list(refused)  # what they were refused for may be gone
    return used.files, refused


def _files(folder: Path) -> Iterable[Path]:
    """Return the manifests in a folder; a mounted ConfigMap has hidden folders beside them."""
    return [
        file
        for file in folder.iterdir()
        if file.suffix in SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]


def _digest(file: Path) -> str:
    try:
        return file_digest(file.read_bytes())
    except OSError:
        return ""


def _read(file: Path) -> tuple[list[Feed], list[str]]:
    """Return the Feeds of a file, and everything that is wrong in it."""
    feeds: list[Feed] = []
    problems: list[str] = []
    try:
        documents = read_documents(file)
    except DocumentError as error:
        return [], [str(error)]
    if not documents:
        return [], ["holds no Feed; a file that is deleted ends its Feeds"]
    for number, document in enumerate(documents, 1):
        if isinstance(document, dict) and document.get("kind") == SENSOR:
            continue  # a generator's
        place = f"document {number}: " if len(documents) > 1 else ""
        try:
            feeds.append(Feed.parse(document))
        except FeedError as error:
            problems += [f"{place}{problem}" for problem in error.problems]
    return feeds, problems
