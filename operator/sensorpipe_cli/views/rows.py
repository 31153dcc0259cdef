"""Prints rows as an aligned table, CSV, lines of JSON, or one JSON list."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from sensorpipe_cli.terminal_text import printable, width

FORMS: Final = ("table", "csv", "ndjson", "json")
"""The forms of output."""

Cell = datetime | str | float | bool | None
"""A value of a row; an int is a float here."""
Row = Sequence[Cell]

_GAP: Final = "  "
_LINE_END: Final = "\r\n"


class Printer:
    """Turns rows into the lines of a form, one row after the other.

    In a table a column is as wide as its widest cell so far, and at least as `wide` says.
    """

    def __init__(self, form: str, columns: Sequence[str], wide: Sequence[int] = ()) -> None:
        self._form = form
        self._columns = columns
        self._widths = [*wide, *[0] * (len(columns) - len(wide))]
        self._printed = 0

    def head(self) -> Iterator[str]:
        """Yield what comes before the rows."""
        if self._form == "table":
            yield self._aligned(self._columns, [False] * len(self._columns))
        elif self._form == "csv":
            yield _csv_line(self._columns)

    def row(self, row: Row) -> str:
        """Return the line of a row."""
        self._printed += 1
        if self._form == "table":
            return self._aligned([cell_text(cell) for cell in row], [is_number(c) for c in row])
        if self._form == "csv":
            return _csv_line(["" if cell is None else raw_text(cell) for cell in row])
        line = msgspec.json.encode(dict(zip(self._columns, row, strict=True))).decode()
        if self._form == "json":
            return ("[" if self._printed == 1 else ",") + line
        return line

    def end(self) -> Iterator[str]:
        """Yield what comes after the rows."""
        if self._form == "json":
            yield "]" if self._printed else "[]"

    def lines(self, rows: Iterable[Row]) -> Iterator[str]:
        """Yield all lines; those of a table once all rows are known."""
        if self._form == "table":
            rows = list(rows)
            for each in (self._columns, *([cell_text(cell) for cell in row] for row in rows)):
                self._widen(each)
        yield from self.head()
        for row in rows:
            yield self.row(row)
        yield from self.end()

    def _widen(self, cells: Sequence[str]) -> None:
        self._widths = [
            max(width(cell), columns) for cell, columns in zip(cells, self._widths, strict=True)
        ]

    def _aligned(self, cells: Sequence[str], right: Sequence[bool]) -> str:
        self._widen(cells)
        padded = []
        for cell, columns, is_right in zip(cells, self._widths, right, strict=True):
            room = " " * (columns - width(cell))
            padded.append(room + cell if is_right else cell + room)
        return _GAP.join(padded).rstrip()


def is_number(cell: Cell) -> bool:
    """Whether a cell is aligned to the right."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def cell_text(cell: Cell) -> str:
    """Return a cell of a table, safe to print in a terminal."""
    if cell is None:
        return "-"
    return f"{cell:.6g}" if isinstance(cell, float) else printable(raw_text(cell))


def raw_text(cell: Cell) -> str:
    """Return a value in full: times in RFC 3339, in UTC."""
    if isinstance(cell, datetime):
        precision = "milliseconds" if cell.microsecond else "seconds"
        return cell.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell)


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    # what is in the terminator is quoted, so a line break in a cell stays in it
    csv.writer(buffer, lineterminator=_LINE_END).writerow(cells)
    return buffer.getvalue().removesuffix(_LINE_END)
