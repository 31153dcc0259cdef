"""All partials of one window in a batch, and the document they make with what is stored."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import bson
from bson.raw_bson import RawBSONDocument
from sensorpipe_schema.partial import BadPartialError

from sensorpipe_server.documents import Document
from sensorpipe_server.merge import is_newer, merge

MAX_DOCUMENT: Final = 16 * 1024 * 1024 - 64 * 1024
"""Bytes; MongoDB takes 16 MiB, command and all."""


class Part(NamedTuple):
    """One partial as a document, and the record it came in."""

    document: Document
    record: Any


class Refused(NamedTuple):
    """A record that cannot be decoded or stored, and why."""

    record: Any
    reason: str
    detail: str


class Window:
    """The partials of one window, in order, each newer than those before of its compactor."""

    __slots__ = ("_last", "parts", "raw")

    def __init__(self, first: Part) -> None:
        self.parts = [first]
        self.raw: RawBSONDocument | None = None
        """All of them as one document, to be inserted if the window is new."""
        self._last: dict[str, tuple[int, int]] = {}

    def add(self, part: Part) -> bool:
        """Add a partial; False where it is a redelivery within the batch."""
        if not self._last:
            self._note(self.parts[0])
        if not self._note(part):
            return False
        self.parts.append(part)
        return True

    def encode(self) -> list[Refused]:
        """Encode what may be inserted; drop and return partials that cannot be."""
        if len(self.parts) == 1:
            with suppress(Exception):  # `absorb` will say what is wrong with it
                self.raw = encode(self.parts[0].document)
                return []
        made = absorb(None, self.parts)
        self.raw = made.raw
        if made.refused:
            at_fault = [refused.record for refused in made.refused]
            self.parts = [part for part in self.parts if part.record not in at_fault]
        return made.refused

    def _note(self, part: Part) -> bool:
        (origin,) = part.document["compactors"]
        made = (origin["epoch"], origin["number"])
        if self._last.get(origin["compactor"], (-1, -1)) >= made:
            return False
        self._last[origin["compactor"]] = made
        return True


@dataclass(slots=True)
class Absorbed:
    """What became of the partials of a window."""

    raw: RawBSONDocument | None = None
    """The new document; None where nothing changes. Never ask for its truth: that decodes it."""
    merged: int = 0
    redelivered: int = 0
    refused: list[Refused] = field(default_factory=list)


def absorb(stored: Document | None, parts: list[Part]) -> Absorbed:
    """Merge the partials that are newer than what is stored into it, each alone and in order.

    A partial that cannot be merged or would make the document too large is refused.
    """
    try:
        return _absorb_all(stored, parts)
    except Exception:  # noqa: BLE001  whatever it is, one partial must not stop the others
        return _absorb_singly(stored, parts)


def encode(document: Document) -> RawBSONDocument:
    """Return an encoded document, or raise BadPartialError if it is too large."""
    data = bson.encode(document)
    if len(data) > MAX_DOCUMENT:
        raise BadPartialError("document_too_large", f"{len(data)} bytes; at most {MAX_DOCUMENT}")
    return RawBSONDocument(data)


def _absorb_all(stored: Document | None, parts: list[Part]) -> Absorbed:
    result = Absorbed()
    document = stored
    for part in parts:
        if document is None:
            document = part.document
        elif is_newer(document, part.document):
            document = merge(document, part.document)
        else:
            result.redelivered += 1
            continue
        result.merged += 1
    if document is not None and result.merged:
        result.raw = encode(_revised(document, stored))
    return result


def _absorb_singly(stored: Document | None, parts: list[Part]) -> Absorbed:
    """Do the same, encoding after each partial to find those that are at fault."""
    result = Absorbed()
    document = stored
    for part in parts:
        try:
            if document is not None and not is_newer(document, part.document):
                result.redelivered += 1
                continue
            grown = part.document if document is None else merge(document, part.document)
            result.raw = encode(_revised(grown, stored))
        except BadPartialError as error:
            result.refused.append(Refused(part.record, error.reason, str(error)))
        except Exception as error:  # noqa: BLE001  as above; the dead letter says what it was
            result.refused.append(Refused(part.record, "cannot_merge", repr(error)))
        else:
            document = grown
            result.merged += 1
    return result


def _revised(document: Document, stored: Document | None) -> Document:
    return document if stored is None else {**document, "rev": stored["rev"] + 1}
