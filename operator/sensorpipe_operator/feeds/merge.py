"""Which Feeds the compactor is to use, and why not the others: pure."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_schema.feed.manifest import Feed, FeedError
from sensorpipe_schema.feed.topic_index import TopicIndex

from sensorpipe_operator.names import CREATED_ANNOTATION, Body, Key, key_of
from sensorpipe_operator.status.conditions import Verdict

MAX_FEEDS: Final = 1_000
"""Largest number of Feeds in use; the compactor reads no more files."""

MAX_BYTES: Final = 900_000
"""Largest size of all files together; a ConfigMap may have 1 MiB."""

ACCEPTED: Final = Verdict("Accepted", "The Feed is valid", holds=True)


@dataclass(slots=True)
class Merged:
    """What the compactor is to have, and what is said of each Feed."""

    files: dict[str, str] = field(default_factory=dict)
    """The content of each file, by its name."""
    accepted: dict[Key, Verdict] = field(default_factory=dict)
    """Of each Feed that was read: whether it is accepted."""

    @property
    def digest(self) -> str:
        """A digest of all files: 16 hexadecimal characters."""
        text = json.dumps(self.files, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A Feed that may be used."""

    age: tuple[str, Key]
    """Older ones come first."""
    feed: Feed
    content: str


def merge(
    bodies: Iterable[Body], former: Mapping[str, str], unreadable: Collection[str] = ()
) -> Merged:
    """Return what the compactor is to use, given the Feeds and the files that it has now.

    Of Feeds that overlap, the oldest one is used. One that is not accepted keeps the version
    that was used before, if that still fits; so do Feeds of namespaces that are `unreadable` now.
    Each Feed is judged alone: none that is wrong stops another.
    """
    merging = _Merging(former)
    candidates = merging.read(bodies) + _kept(former, unreadable)
    for candidate in sorted(candidates, key=lambda each: each.age):
        merging.take(candidate)
    merging.take_former()
    return merging.merged


def file_name(key: Key) -> str:
    """Return the name of a Feed's file; namespaces and names of Feeds have no dots."""
    return ".".join((*key, "json"))


class _Merging:
    def __init__(self, former: Mapping[str, str]) -> None:
        self.merged = Merged()
        self._former = former
        self._topics: TopicIndex[Feed] = TopicIndex()
        self._bytes = 0

    def read(self, bodies: Iterable[Body]) -> list[_Candidate]:
        """Return the valid ones of these Feeds, and note what is wrong in the others."""
        found = []
        for body in bodies:
            key = key_of(body)
            if "deletionTimestamp" in body["metadata"]:
                continue
            try:
                feed = Feed.parse(body, strict=False)
            except FeedError as error:
                self.merged.accepted[key] = Verdict("Invalid", "; ".join(map(str, error.problems)))
                continue
            created = str(body["metadata"].get("creationTimestamp", ""))
            found.append(_Candidate((created, key), feed, content(feed, created)))
        return found

    def take(self, candidate: _Candidate) -> None:
        """Use a Feed if it fits; say so."""
        feed, key = candidate.feed, candidate.feed.key
        verdict = self._overlap(feed) or self._lack_of_room(candidate) or ACCEPTED
        self.merged.accepted[key] = verdict
        if verdict.holds and not feed.spec.suspend:
            self._use(key, feed, candidate.content)

    def take_former(self) -> None:
        """Use the former versions of Feeds that are not accepted, where they still fit."""
        for key, verdict in sorted(self.merged.accepted.items()):
            text = self._former.get(file_name(key))
            if verdict.holds or text is None:
                continue
            candidate = _parsed(text)
            if candidate is None or candidate.feed.key != key:
                continue
            if not (self._overlap(candidate.feed) or self._lack_of_room(candidate)):
                self._use(key, candidate.feed, text)

    def _use(self, key: Key, feed: Feed, text: str) -> None:
        self._topics.add(feed.spec.topic, feed)
        self._bytes += len(text.encode())
        self.merged.files[file_name(key)] = text

    def _overlap(self, feed: Feed) -> Verdict | None:
        if feed.spec.suspend:
            return None
        found = self._topics.overlapping(feed.spec.topic)
        if not found:
            return None
        topic, other = found[0]
        message = (
            f"spec.topic: must not overlap another Feed; {feed.spec.topic.text!r} of "
            f"{feed.full_name!r} and {topic.text!r} of {other.full_name!r}, which is older, take "
            "the same topics"
        )
        return Verdict("Overlaps", message)

    def _lack_of_room(self, candidate: _Candidate) -> Verdict | None:
        size = len(candidate.content.encode())
        if len(self.merged.files) < MAX_FEEDS and self._bytes + size <= MAX_BYTES:
            return None
        message = (
            f"no more than {MAX_FEEDS} Feeds, or {MAX_BYTES} bytes of them, can be used; "
            "older ones come first"
        )
        return Verdict("TooMany", message)


def content(feed: Feed, created: str) -> str:
    """Return a Feed as a file for the compactor, the same text for the same Feed."""
    manifest = feed.to_manifest()
    namespace, name = feed.key
    annotations = {CREATED_ANNOTATION: created}
    manifest["metadata"] = {"name": name, "namespace": namespace, "annotations": annotations}
    return json.dumps(manifest, sort_keys=True, ensure_ascii=False)


def _kept(former: Mapping[str, str], unreadable: Collection[str]) -> list[_Candidate]:
    """Return the Feeds of former files that are of namespaces which cannot be read now."""
    found = [_parsed(text) for name, text in former.items() if name.split(".")[0] in unreadable]
    return [candidate for candidate in found if candidate is not None]


def _parsed(text: str) -> _Candidate | None:
    """Read a file that an operator wrote; None if it is none."""
    try:
        feed = Feed.parse(json.loads(text), strict=False)
    except (ValueError, FeedError):
        return None
    created = (feed.metadata.annotations or {}).get(CREATED_ANNOTATION, "")
    return _Candidate((created, feed.key), feed, text)
