"""All partials of one window in a batch, and the document they make with what is stored."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from sensorpipe_schema.partial import BadPartialError, Checked, read

from sensorpipe_server.documents import Document, document, window_id
from sensorpipe_server.encoded import encoded
from sensorpipe_server.merge import is_newer, merge
from sensorpipe_server.spliced import Spliced, splice

MAX_DOCUMENT: Final = 16 * 1024 * 1024 - 64 * 1024
"""Bytes; MongoDB takes 16 MiB, command and all."""

_AS_STORED: Final[CodecOptions[Document]] = CodecOptions(tz_aware=False)
"""A merge passes dates on unread."""


class Part:
    """One partial, and the record it came in.

    The values read from the record are let go once they have been used: many thousand small
    objects cost more than reading those few again that are needed again.
    """

    __slots__ = ("_checked", "_received_at", "end_ms", "key", "origin", "record", "series")

    def __init__(self, checked: Checked, record: Any, received_at: datetime) -> None:
        facility, start, self.end_ms, self.origin, summaries = checked
        self.key = window_id(facility, start, self.end_ms)
        self.series = (facility, *[summary[0] for summary in summaries])
        """The facility and its sensors."""
        self.record = record
        self._received_at = received_at
        self._checked: Checked | None = checked

    def document(self) -> Document:
        """Return the partial as a document."""
        return document(self._take(), self._received_at)

    def encode(self) -> RawBSONDocument:
        """Return the document encoded, or raise BadPartialError if it is too large."""
        return _not_too_large(encoded(self._take(), self.key, self._received_at))

    def splice(self, stored: bytes) -> Spliced | None:
        """Return `rev` and an encoded document with this partial, if `splice` can make it."""
        checked = self._take()
        spliced = splice(stored, checked, self.key, self._received_at)
        if spliced is None:
            self._checked = checked
        return spliced

    def _take(self) -> Checked:
        checked, self._checked = self._checked, None
        return read(self.record.value) if checked is None else checked


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
        self._last: dict[str, list[int]] = {}

    def add(self, part: Part) -> bool:
        """Add a partial; False where it is a redelivery within the batch."""
        if not self._last:
            self._note(self.parts[0])
        if not self._note(part):
            return False
        self.parts.append(part)
        self.raw = None
        return True

    def encode(self) -> list[Refused]:
        """Encode what may be inserted; drop and return partials that cannot be."""
        if len(self.parts) == 1:
            try:
                self.raw = self.parts[0].encode()
            except Exception as error:  # noqa: BLE001  one partial must not stop the others
                (part,), self.parts = self.parts, []
                return [_refused(part, error)]
            return []
        made = absorb(None, self.parts)
        self.raw = made.raw
        if made.refused:
            at_fault = [refused.record for refused in made.refused]
            self.parts = [part for part in self.parts if part.record not in at_fault]
        return made.refused

    def _note(self, part: Part) -> bool:
        compactor, *made, _ = part.origin
        if self._last.get(compactor, [-1, -1]) >= made:
            return False
        self._last[compactor] = made
        return True


@dataclass(slots=True)
class Absorbed:
    """What became of the partials of a window."""

    raw: RawBSONDocument | None = None
    """The new document; None where nothing changes. Never ask for its truth: that decodes it."""
    rev: int = 0
    """Of what was stored."""
    merged: int = 0
    redelivered: int = 0
    refused: list[Refused] = field(default_factory=list)


def absorb(stored: Document | bytes | None, parts: list[Part]) -> Absorbed:
    """Merge the partials that are newer than what is stored into it, each alone and in order.

    A partial that cannot be merged or would make the document too large is refused.
    """
    if isinstance(stored, bytes):
        if (spliced := _absorb_encoded(stored, parts)) is not None:
            return spliced
        stored = bson.decode(stored, _AS_STORED)
    try:
        result = _absorb_all(stored, parts)
    except Exception:  # noqa: BLE001  whatever it is, one partial must not stop the others
        result = _absorb_singly(stored, parts)
    if stored is not None:
        result.rev = stored["rev"]
    return result


def encode(document: Document) -> RawBSONDocument:
    """Return an encoded document, or raise BadPartialError if it is too large."""
    return _not_too_large(bson.encode(document))


def _not_too_large(data: bytes) -> RawBSONDocument:
    if len(data) > MAX_DOCUMENT:
        raise BadPartialError("document_too_large", f"{len(data)} bytes; at most {MAX_DOCUMENT}")
    return RawBSONDocument(data)


def _absorb_encoded(stored: bytes, parts: list[Part]) -> Absorbed | None:
    """Merge the only partial, as there is nearly always, if that needs no decoding."""
    if len(parts) != 1:
        return None
    try:
        spliced = parts[0].splice(stored)
        if spliced is not None:
            return Absorbed(_not_too_large(spliced.document), spliced.rev, merged=1)
    except Exception:  # noqa: BLE001  whatever it is, the others find it and say it
        return None
    return None


def _absorb_all(stored: Document | None, parts: list[Part]) -> Absorbed:
    result = Absorbed()
    document = stored
    for part in parts:
        if document is None:
            document = part.document()
        elif is_newer(document, part.origin):
            document = merge(document, part.document())
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
            if document is not None and not is_newer(document, part.origin):
                result.redelivered += 1
                continue
            grown = part.document() if document is None else merge(document, part.document())
            result.raw = encode(_revised(grown, stored))
        except Exception as error:  # noqa: BLE001  as above; the dead letter says what it was
            result.refused.append(_refused(part, error))
        else:
            document = grown
            result.merged += 1
    return result


def _refused(part: Part, error: Exception) -> Refused:
    if isinstance(error, BadPartialError):
        return Refused(part.record, error.reason, str(error))
    return Refused(part.record, "cannot_merge", repr(error))


def _revised(document: Document, stored: Document | None) -> Document:
    return document if stored is None else {**document, "rev": stored["rev"] + 1}
