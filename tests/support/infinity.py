"""Asks an API as Grafana's data source Infinity does (3.x, its backend parser).

Grafana puts variables into a query, the plugin puts in the times, adds the parameters to the URL,
sorted, and its headers, and reads the declared columns from the answer into a frame, whose fields
are in alphabetical order. Of what the plugin can do, this does what the dashboard uses; it raises
NotImplementedError for the rest.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

Variables = Mapping[str, Sequence[str]]
"""The chosen values of each variable of a dashboard."""

_ACCEPT: Final = {"json": "application/json;q=0.9,text/plain", "csv": "text/csv; charset=utf-8"}
_UNUSED: Final = ("filterExpression", "summarizeExpression", "computed_columns", "filters", "uql")


@dataclass
class Field:
    """A field of a frame: one value a row."""

    name: str
    type: str
    values: list[Any]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeRange:
    """The range of a dashboard."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Infinity:
    """The data source, with the server's address as base URL."""

    client: httpx2.AsyncClient
    range: TimeRange

    async def frame(self, query: Mapping[str, Any], variables: Variables) -> list[Field]:
        """Return the frame of a query."""
        if query["source"] != "url" or query["parser"] != "backend":
            raise NotImplementedError
        if any(query.get(name) for name in _UNUSED):
            raise NotImplementedError
        answer = await self.client.get(
            self.url(query, variables),
            headers={"Accept": _ACCEPT[query["type"]], "Accept-Encoding": "gzip"},
        )
        if answer.status_code >= 400 or not answer.content:
            raise AssertionError(f"{answer.status_code} {answer.url}: {answer.text}")
        if query["type"] == "csv":
            rows = list(csv.DictReader(answer.text.splitlines()))
        else:
            rows = _rows(answer.json(), query["root_selector"])
        fields = [_field(column, rows) for column in query["columns"]]
        fields.sort(key=lambda each: each.name)
        return _wide(fields) if query["format"] == "timeseries" else fields

    def url(self, query: Mapping[str, Any], variables: Variables) -> str:
        """Return the URL that is asked for."""
        parts = urlsplit(self._put_in(query["url"], variables))
        pairs = parse_qsl(parts.query)
        pairs += [
            (each["key"], self._put_in(each["value"], variables))
            for each in query["url_options"].get("params", ())
        ]
        return f"{parts.path}?{urlencode(sorted(pairs, key=lambda pair: pair[0]))}"

    def _put_in(self, text: str, variables: Variables) -> str:
        """Put variables into a text, as Grafana does, and then times, as the plugin does."""

        def variable(found: re.Match[str]) -> str:
            name, form = found["plain"] or found["name"], found["form"]
            if name not in variables:
                return found[0]
            values = variables[name]
            if form == "csv" or len(values) == 1:
                return ",".join(values)
            if form:
                raise NotImplementedError(form)
            return "{" + ",".join(values) + "}"

        text = re.sub(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::(?P<form>\w+))?\})", variable, text)
        for name, moment in (("from", self.range.start), ("to", self.range.end)):
            milliseconds = str(int(moment.timestamp() * 1000))
            for macro in (f"${{__{name}}}", f"${{__time{name.capitalize()}}}"):
                text = text.replace(macro, milliseconds)
        assert "$" not in text, f"Grafana does not know a variable in {text}"
        return text.strip()


def _rows(content: Any, root: str) -> list[Any]:
    for step in filter(None, root.split(".")):
        content = content[step]
    return content if isinstance(content, list) else [content]


def _field(column: Mapping[str, str], rows: Sequence[Any]) -> Field:
    convert = _CONVERT[column["type"]]
    name = column["text"] or column["selector"]
    return Field(name, column["type"], [convert(_value(row, column["selector"])) for row in rows])


def _value(row: Any, selector: str) -> Any:
    for step in selector.split("."):
        if not isinstance(row, dict):
            return None
        row = row.get(step)
    return row


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None if value is None else str(value)


def _number(value: Any) -> float | None:
    """Return a number; the plugin makes null of a boolean."""
    if value is None or isinstance(value, bool):
        return None
    return float(value)


def _boolean(value: Any) -> bool | None:
    """Return a boolean; of texts the plugin only knows true."""
    if isinstance(value, bool):
        return value
    return True if isinstance(value, str) and value.lower() == "true" else None


def _timestamp(value: Any) -> datetime | None:
    """Return a time of RFC 3339, the first form that the plugin tries."""
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None


_CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _string, "number": _number, "boolean": _boolean, "timestamp": _timestamp
}  # fmt: skip


def _wide(fields: list[Field]) -> list[Field]:
    """Return a frame of one row a time, if it is one of several: strings become labels."""
    (time,) = (each for each in fields if each.type == "timestamp")
    values = [each for each in fields if each.type == "number"]
    factors = [each for each in fields if each.type in {"string", "boolean"}]
    if not factors or not time.values:
        return fields
    assert all(one <= other for one, other in pairwise(time.values)), "times are not ascending"
    times = [moment for moment, _ in groupby(time.values)]
    place = {moment: at for at, moment in enumerate(times)}
    wide: dict[tuple[Any, ...], Field] = {}
    for row, moment in enumerate(time.values):
        labels = {each.name: str(each.values[row]) for each in factors}
        for each in values:
            key = (each.name, *labels.items())
            found = wide.setdefault(key, Field(each.name, "number", [None] * len(times), labels))
            found.values[place[moment]] = each.values[row]
    return [Field(time.name, "timestamp", times), *(wide[key] for key in sorted(wide))]
