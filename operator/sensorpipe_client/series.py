"""The answer of `/api/series`: rows, and their forms as data frames and CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

DEFAULT_FIELDS: Final = ("avg", "min", "max", "count")
_BEFORE: Final = ("time", "facility", "sensor")
_AFTER: Final = ("complete",)


class Row(Struct, frozen=True):
    """One sensor of a facility in one bucket; a field that was not asked for is None."""

    time: datetime
    """Start of the bucket."""
    facility: str
    sensor: str
    complete: bool
    """Whether the bucket and the lateness have passed; after that only late readings change it."""
    avg: float | None = None
    min: float | None = None
    max: float | None = None
    count: int | None = None
    """Number of readings."""
    stdev: float | None = None
    """Sample standard deviation of the readings."""
    p50: float | None = None
    """Median, within 1 %, like the other quantiles."""
    p95: float | None = None
    p99: float | None = None


class _Answer(Struct, frozen=True):
    every: str
    start: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    data: list[Row]
    units: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Series:
    """Rows in order of time, facility and sensor; buckets without readings have none."""

    every: str
    """Length of the buckets, which the server has chosen unless it was given."""
    start: datetime
    end: datetime
    fields: tuple[str, ...]
    """The figures of each row: by default avg, min, max and count."""
    rows: Sequence[Row]
    units: dict[str, str]
    """The unit of each sensor that has one."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of frames and CSV files."""
        return (*_BEFORE, *self.fields, *_AFTER)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas DataFrame, `time` in UTC; raise ImportError without pandas."""
        try:
            import pandas as pd  # noqa: PLC0415  heavy, and not everybody has it
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas") from error
        frame = pd.DataFrame(self._values(), columns=list(self.columns))
        return frame.astype({name: kind for name, kind in _PANDAS.items() if name in frame.columns})

    def to_polars(self) -> "pl.DataFrame":
        """Return a polars DataFrame, `time` in UTC; raise ImportError without polars."""
        try:
            import polars as pl  # noqa: PLC0415  heavy, and not everybody has it
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install polars") from error
        kinds: dict[str, Any] = dict.fromkeys(self.fields, pl.Float64)
        schema = {
            "time": pl.Datetime("ms", "UTC"),
            "facility": pl.String,
            "sensor": pl.String,
            **kinds,
            **({"count": pl.Int64} if "count" in kinds else {}),
            "complete": pl.Boolean,
        }
        return pl.DataFrame(self._values(), schema=schema)

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write a CSV file, as `/api/series?format=csv` answers it."""
        with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123  any path
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(self.columns)
            writer.writerows([_text(row, name) for name in self.columns] for row in self.rows)

    def _values(self) -> dict[str, list[Any]]:
        """Return the values by column."""
        return {name: [getattr(row, name) for row in self.rows] for name in self.columns}


_PANDAS: Final = {
    "time": "datetime64[ms, UTC]",
    "facility": "str",
    "sensor": "str",
    **dict.fromkeys(("avg", "min", "max", "stdev", "p50", "p95", "p99"), "float64"),
    "count": "int64",
    "complete": "bool",
}


def _text(row: Row, name: str) -> object:
    value = getattr(row, name)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def time_text(time: datetime) -> str:
    """Return a time as the API writes it."""
    return str(msgspec.to_builtins(time)).replace("+00:00", "Z")


def decode(body: bytes, fields: tuple[str, ...]) -> Series:
    """Return the series of an answer; raise MsgspecError if it is none."""
    answer = msgspec.json.decode(body, type=_Answer)
    return Series(answer.every, answer.start, answer.end, fields, answer.data, answer.units)
