"""Results of one part, as a table for people and as JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Row:
    """One contender, measured several times in turn with the others."""

    name: str
    rates: list[float] = field(default_factory=list)
    """Per second."""
    cpu_us: list[float] = field(default_factory=list)
    """CPU of the measured process, per item."""
    beside_us: list[float] = field(default_factory=list)
    """CPU of the service that it works with, per item, where that was measured."""
    mb: float | None = None
    """Highest resident memory of the measured process, where it was watched."""

    @property
    def rate(self) -> float:
        """The median rate."""
        return median(self.rates)

    @property
    def cpu(self) -> float:
        """The median CPU of an item, in µs."""
        return median(self.cpu_us)

    def add(
        self,
        rate: float,
        cpu_us: float,
        mb: float | None = None,
        *,
        beside_us: float | None = None,
    ) -> None:
        """Add one measurement."""
        self.rates.append(rate)
        self.cpu_us.append(cpu_us)
        if beside_us is not None:
            self.beside_us.append(beside_us)
        if mb is not None:
            self.mb = max(self.mb or 0, mb)


@dataclass
class Aim:
    """A bound that the issue set."""

    text: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value keeps the bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass
class Figure:
    """A value that no bound is set for."""

    text: str
    value: float
    unit: str = ""


@dataclass
class Part:
    """One part of the benchmark."""

    title: str
    how: str
    """What was measured and how, in a sentence."""
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    limit: str | None = None
    """The row that the others' rates are divided by."""
    table: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures by row and column, where each row has several that are no rates."""

    def row(self, name: str) -> Row:
        """Return a contender's row, making it if need be."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name))
        return self.rows[-1]

    def has(self, name: str) -> bool:
        """Return whether a contender was measured."""
        return any(row.name == name for row in self.rows)

    def ratio(self, name: str) -> float:
        """Return a contender's rate as a share of the limit's."""
        return self.row(name).rate / self.row(self.limit or name).rate

    def text(self) -> str:
        """Return the part as a table."""
        width = max([len(row.name) for row in self.rows], default=0)
        lines = ["", self.title, self.how]
        if self.rows:
            further = "".join(f"  {name}" for name in self._further())
            heads = f"{'per second':>10}  {'ratio':>5}  {'CPU µs':>6}{further}  all runs"
            lines.append(f"  {'':{width}}  {heads}")
        lines += [f"  {row.name:{width}}  {self._figures(row)}" for row in self.rows]
        lines += self._table()
        for each in self.figures:
            lines.append(f"  {each.text}: {each.value:,.5g} {each.unit}".rstrip())
        for aim in self.aims:
            sign = "≤" if aim.at_most else "≥"
            verdict = "met" if aim.met else "MISSED"
            lines.append(f"  aim: {aim.text} {sign} {aim.bound:g}: {aim.value:.3g}, {verdict}")
        return "\n".join(lines)

    def _table(self) -> list[str]:
        """Return the lines of `table`; what a row does not have stays empty."""
        columns = list(dict.fromkeys(column for row in self.table.values() for column in row))
        width = max(map(len, self.table), default=0)
        lines = [("", {column: column for column in columns})] if columns else []
        lines += [
            (name, {column: f"{value:,.4g}" for column, value in row.items()})
            for name, row in self.table.items()
        ]
        sizes = {c: max(len(cells.get(c, "")) for _, cells in lines) for c in columns}
        return [
            f"  {name:{width}}" + "".join(f"  {cells.get(c, ''):>{sizes[c]}}" for c in columns)
            for name, cells in lines
        ]

    def _further(self) -> dict[str, Callable[[Row], str]]:
        """Return the columns that only some parts have: a header, and how a row's cell is made."""
        columns: dict[str, Callable[[Row], str]] = {
            "beside": lambda row: f"{median(row.beside_us):.2f}" if row.beside_us else "",
            "   MB": lambda row: "" if row.mb is None else f"{row.mb:.0f}",
        }
        return {name: cell for name, cell in columns.items() if any(map(cell, self.rows))}

    def _figures(self, row: Row) -> str:
        runs = ", ".join(f"{rate:,.0f}" for rate in row.rates)
        further = "".join(f"  {cell(row):>{len(name)}}" for name, cell in self._further().items())
        return f"{row.rate:>10,.0f}  {self.ratio(row.name):>5.2f}  {row.cpu:>6.2f}{further}  {runs}"

    def json(self) -> dict[str, Any]:
        """Return the part for a file."""
        return {
            "title": self.title,
            "how": self.how,
            "limit": self.limit,
            "rows": [
                {
                    "name": row.name,
                    "per_second": row.rates,
                    "cpu_us": row.cpu_us,
                    "beside_us": row.beside_us,
                    "mb": row.mb,
                }
                for row in self.rows
            ],
            "table": self.table,
            "figures": [
                {"text": each.text, "value": each.value, "unit": each.unit} for each in self.figures
            ],
            "aims": [
                {"text": aim.text, "value": aim.value, "bound": aim.bound, "met": aim.met}
                for aim in self.aims
            ],
        }
