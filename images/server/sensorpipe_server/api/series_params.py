"""The parameters of `GET /api/series` that no other operation has."""

import re
from typing import Final

from sensorpipe_server.api.operations import FIELDS, MAX_POINTS, POINTS
from sensorpipe_server.api.params import Params
from sensorpipe_server.api.series_forms import FORMS
from sensorpipe_server.storage.reads.steps import parse_step

DEFAULT_MS: Final = 86_400_000
"""Length of a range without `from`, in milliseconds."""

AUTO: Final = "auto"

_accepted = re.compile(r"\s*([\w*.+-]+/[\w*.+-]+)\s*(?:;.*?\bq=([0-9.]{1,5}))?", re.ASCII).match


class SeriesParams(Params):
    """Reads the query of a request for a series."""

    def range(self) -> tuple[int, int]:
        """Return `from`, by default a day before `to`, and `to`, by default now."""
        from_ms, to_ms = self.span("", "now")
        return from_ms if self.has("from") else max(0, to_ms - DEFAULT_MS), to_ms

    def every(self) -> int | None:
        """Return the length of the buckets in milliseconds; None if the server has to choose."""
        return self._parse("every", None, lambda text: None if text == AUTO else parse_step(text))

    def points(self) -> int:
        """Return the largest number of buckets that the server may choose."""
        if self.has("points") and self._query.get("every", AUTO) != AUTO:
            self._errors.append("Invalid points: must be given with every=auto only")
        return self._parse("points", POINTS, _points)

    def fields(self) -> tuple[str, ...]:
        """Return the fields of the rows, in order."""
        return self._parse("fields", ("avg", "min", "max", "count"), _fields)

    def only_complete(self) -> bool:
        """Return whether only complete rows are asked for."""
        return self._parse("complete", "false", _boolean) == "true"

    def form(self, accept: str) -> str:
        """Return the form of the answer: that of `format`, or else the best accepted one."""
        return self._parse("format", accepted_form(accept), _form)


def accepted_form(accept: str) -> str:
    """Return the form that a header Accept prefers; the first of FORMS if it accepts none."""
    media_types = {
        form.media_type.partition(";")[0]: name for name, form in reversed(tuple(FORMS.items()))
    }
    best, highest = next(iter(FORMS)), 0.0
    for part in accept.lower().split(","):
        found = _accepted(part)
        name = media_types.get(found[1]) if found else None
        if found is None or name is None:
            continue
        quality = _quality(found[2])
        if quality > highest:
            best, highest = name, quality
    return best


def _quality(text: str | None) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


def _points(text: str) -> int:
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_POINTS))
    if not digits or not 1 <= int(text) <= MAX_POINTS:
        raise ValueError(f"must be an integer from 1 to {MAX_POINTS}; got {text!r}")
    return int(text)


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    bad = [each for each in names if each not in FIELDS]
    if bad:
        raise ValueError(f"each must be one of {', '.join(FIELDS)}; got {bad[0]!r}")
    return names


def _boolean(text: str) -> str:
    if text not in ("true", "false"):
        raise ValueError(f"must be true or false; got {text!r}")
    return text


def _form(text: str) -> str:
    if text not in FORMS:
        raise ValueError(f"must be one of {', '.join(FORMS)}; got {text!r}")
    return text
