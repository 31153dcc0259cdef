"""Results of one part, as a table for people and as JSON."""

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

    @property
    def rate(self) -> float:
        """The median rate."""
        return median(self.rates)

    @property
    def cpu(self) -> float:
        """The median CPU of an item, in µs."""
        return median(self.cpu_us)

    def add(self, rate: float, cpu_us: float) -> None:
        """Add one measurement."""
        self.rates.append(rate)
        self.cpu_us.append(cpu_us)


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
class Part:
    """One part of the benchmark."""

    title: str
    how: str
    """What was measured and how, in a sentence."""
    rows: list[Row] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    limit: str | None = None
    """The row that the others' rates are divided by."""

    def row(self, name: str) -> Row:
        """Return a contender's row, making it if need be."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name))
        return self.rows[-1]

    def ratio(self, name: str) -> float:
        """Return a contender's rate as a share of the limit's."""
        return self.row(name).rate / self.row(self.limit or name).rate

    def text(self) -> str:
        """Return the part as a table."""
        width = max([len(row.name) for row in self.rows], default=0)
        lines = ["", self.title, self.how]
        if self.rows:
            lines.append(
                f"  {'':{width}}  {'per second':>10}  {'ratio':>5}  {'CPU µs':>6}  all runs"
            )
        for row in self.rows:
            runs = ", ".join(f"{rate:,.0f}" for rate in row.rates)
            figures = f"{row.rate:>10,.0f}  {self.ratio(row.name):>5.2f}  {row.cpu:>6.2f}"
            lines.append(f"  {row.name:{width}}  {figures}  {runs}")
        for aim in self.aims:
            sign = "≤" if aim.at_most else "≥"
            verdict = "met" if aim.met else "MISSED"
            lines.append(f"  aim: {aim.text} {sign} {aim.bound:g}: {aim.value:.3g}, {verdict}")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """Return the part for a file."""
        return {
            "title": self.title,
            "how": self.how,
            "limit": self.limit,
            "rows": [
                {"name": row.name, "per_second": row.rates, "cpu_us": row.cpu_us}
                for row in self.rows
            ],
            "aims": [
                {"text": aim.text, "value": aim.value, "bound": aim.bound, "met": aim.met}
                for aim in self.aims
            ],
        }
