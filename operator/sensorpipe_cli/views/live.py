"""The live terminal view, drawn from a snapshot."""

from collections import Counter
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sensorpipe_cli.client.figures import Figures, PartState, Snapshot
from sensorpipe_cli.terminal_text import printable
from sensorpipe_cli.views.formatting import average, by_reason, clock, count, rate, time_of_day

_GAP: Final = 4
"""Number of columns between tables side by side."""
_AROUND: Final = 12
"""Number of lines other than those of the tables and links, the cursor's included."""
_HEADING: Final = 3
"""Number of lines of a second table other than its rows."""

_GENERATORS_SHOWN: Final = 6
"""Largest number of generators with a line each."""
_STYLES: Final = {
    "waiting": "dim",
    "starting": "yellow",
    "ready": "green",
    "stopping": "yellow",
    "stopped": "dim",
    "failed": "bold red",
}


def render(snapshot: Snapshot, console: Console) -> RenderableType:
    """Return the view, sized for this console; if it is too small, processes are summarized."""
    width, height = console.size
    of_devices = _of_devices(snapshot.figures)
    room = height - _AROUND - len(snapshot.links) - len(of_devices)
    facilities = _facilities(snapshot.figures, width, max(1, room))
    parts = _parts(snapshot.parts)
    links = snapshot.links
    body: RenderableType = facilities
    if _width(facilities, console) + _width(parts, console) + _GAP <= width:
        body = _beside(facilities, parts)
    elif facilities.row_count + parts.row_count + _HEADING <= room:
        body = Group(facilities, "", parts)
    else:
        links = (("processes", _states(snapshot.parts)), *links)
    figures: list[RenderableType] = [_figures(snapshot.figures), *of_devices]
    return Group(_title(snapshot), *figures, "", body, "", _links(links))


def _title(snapshot: Snapshot) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(justify="right", no_wrap=True)
    since = clock(snapshot.elapsed) if snapshot.elapsed else ""
    limit = f" of {clock(snapshot.limit)}" if snapshot.limit and since else ""
    left = Text.assemble((" sensorpipe ", "bold reverse"), " ", snapshot.phase)
    line.add_row(left, Text(f"{since}{limit}  Ctrl-C stops ", "dim"))
    return line


def _figures(figures: Figures) -> Table:
    table = Table(box=box.ROUNDED, expand=True, border_style="dim", header_style="dim")
    totals = figures.totals
    cells = {
        "readings/s": Text(rate(figures.rate), "bold"),
        "published": Text(count(figures.published)),
        "stored": Text(count(figures.stored)),
        "windows": Text(count(figures.windows)),
        "lost": _fault(totals.lost if totals else None),
        "duplicates": _fault(totals.duplicates if totals else None),
    }
    for name in cells:
        table.add_column(name, justify="center", ratio=1, no_wrap=True)
    table.add_row(*cells.values())
    return table


def _of_devices(figures: Figures) -> list[Text]:
    """Return the lines on what others than the generators published, a line each."""
    lines = []
    if figures.others:
        lines.append(Text(f" stored of others: {count(figures.others)}"))
    if figures.refused:
        lines.append(Text(f" refused: {by_reason(figures.refused)}", "bold red"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _fault(number: int | None) -> Text:
    if number is None:
        return Text("-", "dim")
    return Text(count(number), "bold red" if number else "bold green")


def _facilities(figures: Figures, width: int, lines: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    sensors = _sensors_that_fit(figures, width)
    table.add_column("facility", no_wrap=True, overflow="ellipsis")
    table.add_column("windows", justify="right")
    table.add_column("last window, UTC", no_wrap=True)
    for sensor in sensors:
        table.add_column(_foreign(sensor), justify="right", no_wrap=True)
    names = sorted(figures.facilities)
    shown = names if len(names) <= lines else names[: lines - 1]
    for name in shown:
        latest = figures.facilities[name]
        if latest is None or not latest.start:
            table.add_row(_foreign(name), "0", Text("none yet", "dim"))
            continue
        window = _foreign(f"{time_of_day(latest.start)} - {time_of_day(latest.end)}")
        values = (latest.averages.get(sensor) for sensor in sensors)
        averages = ("-" if value is None else average(value) for value in values)
        table.add_row(_foreign(name), count(latest.windows), window, *averages)
    if len(shown) < len(names):
        table.add_row(Text(f"and {len(names) - len(shown)} more", "dim"))
    return table


def _foreign(text: str) -> Text:
    """Return text from outside, in which rich's markup and control characters have no effect."""
    return Text(printable(text))


def _sensors_that_fit(figures: Figures, width: int) -> list[str]:
    sensors = sorted(
        {s for latest in figures.facilities.values() if latest for s in latest.averages}
    )
    left = width - max((len(name) for name in figures.facilities), default=8) - 35
    fitting: list[str] = []
    for sensor in sensors:
        left -= max(len(sensor), 8) + 2
        if left < 0:
            break
        fitting.append(sensor)
    return fitting


def _parts(parts: tuple[PartState, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column("process", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=8)
    table.add_column("address", no_wrap=True, overflow="ellipsis", style="dim")
    for part in _merged_generators(parts):
        state = Text(part.state, _STYLES.get(part.state, ""))
        table.add_row(_foreign(part.name), state, _foreign(part.address))
    return table


def _merged_generators(parts: tuple[PartState, ...]) -> list[PartState]:
    """Replace many generators by one line for each state."""
    generators = [part for part in parts if part.name.startswith("generator ")]
    if len(generators) <= _GENERATORS_SHOWN:
        return list(parts)
    states = Counter(part.state for part in generators)
    others = [part for part in parts if part not in generators]
    return [*others, *(PartState(f"{n} generators", state, "") for state, n in states.items())]


def _states(parts: tuple[PartState, ...]) -> str:
    return ", ".join(f"{n} {state}" for state, n in Counter(p.state for p in parts).items())


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options, table).maximum


def _beside(left: Table, right: Table) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(left, right)
    return grid


def _links(links: tuple[tuple[str, str], ...]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for what, url in links:
        grid.add_row(Text(what), Text(url, f"link {url}" if url.startswith("http") else ""))
    return grid
