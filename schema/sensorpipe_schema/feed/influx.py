"""InfluxDB's line protocol: lines to objects of `measurement`, `tags`, `fields`, `timestamp`."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from sensorpipe_schema.feed.values import LIMIT

_BOOLEANS: Final = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_integer: Final = re.compile(r"(-?[0-9]{1,20})[iu]", re.ASCII).fullmatch
_number: Final = re.compile(
    r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII
).fullmatch
_timestamp: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII).fullmatch
_escaped: Final = re.compile(r"\\([,= \\])")

_Split = Callable[[str, str], list[str]]


class BadLineError(ValueError):
    """A line that is not of the line protocol; the text says why."""


def parse_lines(payload: bytes) -> Iterator[dict[str, Any]]:
    """Yield each line as an object; raise BadLineError. Comments and empty lines are skipped."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise BadLineError(f"not UTF-8: {error.reason}") from error
    split = _split if "\\" in text or '"' in text else str.split
    for line in split(text, "\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _parse(line.rstrip("\r"), split)


def _parse(line: str, split: _Split) -> dict[str, Any]:
    parts = [part for part in split(line, " ") if part]
    if len(parts) not in {2, 3}:
        raise BadLineError(f"not 'measurement,tags fields timestamp': {line[:60]!r}")
    measurement, *tags = split(parts[0], ",")
    fields = [_pair(text, split) for text in split(parts[1], ",")]
    parsed: dict[str, Any] = {
        "measurement": _plain(measurement),
        "tags": {key: _plain(text) for key, text in [_pair(tag, split) for tag in tags]},
        "fields": {key: _field(text) for key, text in fields},
    }
    if len(parts) == 3:  # noqa: PLR2004  the third part
        if not _timestamp(parts[2]):
            raise BadLineError(f"timestamp {parts[2][:60]!r} is no whole number")
        parsed["timestamp"] = int(parts[2])
    return parsed


def _split(text: str, sign: str) -> list[str]:
    """Split at a sign that is neither escaped nor within quotes."""
    parts, begin, quoted, i = [], 0, False, 0
    while i < len(text):
        if text[i] == "\\":
            i += 1
        elif text[i] == '"':
            quoted = not quoted
        elif text[i] == sign and not quoted:
            parts.append(text[begin:i])
            begin = i + 1
        i += 1
    if quoted:
        raise BadLineError(f"a quote is not closed: {text[:60]!r}")
    return [*parts, text[begin:]]


def _pair(text: str, split: _Split) -> tuple[str, str]:
    key, *rest = split(text, "=")
    if not key or not rest or not rest[0]:
        raise BadLineError(f"{text[:60]!r} is not key=value")
    return _plain(key), rest[0] if len(rest) == 1 else "=".join(rest)


def _plain(text: str) -> str:
    return _escaped.sub(r"\1", text) if "\\" in text else text


def _field(text: str) -> Any:
    if text[0] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if _number(text) and -LIMIT <= (number := float(text)) <= LIMIT:
        return number
    if whole := _integer(text):
        return int(whole[1])
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    raise BadLineError(f"field value {text[:60]!r} is neither number, boolean nor text in quotes")
