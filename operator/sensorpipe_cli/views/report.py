"""What `sensorpipe verify` prints: the faulty sources, the totals and the verdict."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sensorpipe_schema.names import DEAD_COMPACTED, DEAD_READINGS

from sensorpipe_cli.client.api import Integrity, SetAside, SourceRow, Totals
from sensorpipe_cli.terminal_text import printable, width
from sensorpipe_cli.views.formatting import count

MAX_FAULTY: Final = 20
"""Largest number of faulty sources shown without --all."""

_GAP: Final = "   "
_NAMES: Final = ("facility", "sensor", "source")
"""Headings of the columns that are aligned to the left."""
_NOTHING: Final = "no readings stored yet, nothing to verify"


def select_sources(integrity: Integrity, *, everything: bool) -> list[SourceRow]:
    """Return the sources to show: all, or the first 20 with lost or duplicate readings."""
    if everything:
        return integrity.data
    return [row for row in integrity.data if row.lost or row.duplicates][:MAX_FAULTY]


def table(rows: Sequence[SourceRow], totals: Totals) -> Iterator[tuple[str, bool]]:
    """Yield a heading and a line for each source; each line with whether it shows a fault."""
    pending = ("pending",) if totals.pending else ()
    numbers = ("first", "last", "count", "lost", *pending, "duplicates")
    cells = [_cells(row, numbers) for row in rows]
    heading = [*_NAMES, *numbers]
    widths = [max(map(width, column)) for column in zip(heading, *cells, strict=True)]
    yield _line(heading, widths), False
    yield "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)), False
    for row, line in zip(rows, cells, strict=True):
        yield _line(line, widths), bool(row.lost or row.duplicates)


def count_omitted(integrity: Integrity, shown: int) -> str:
    """Return a line with the number of faulty sources not shown; empty if all are."""
    wrong = sum(1 for row in integrity.data if row.lost or row.duplicates)
    more = wrong - shown
    return f"and {count(more)} more (--all shows every source)" if more > 0 else ""


def facilities_without_sources(integrity: Integrity, facilities: Iterable[str]) -> list[str]:
    """Return a line for each of these facilities that has no source."""
    seen = {row.facility for row in integrity.data}
    return [f"{name}: no readings with src and seq" for name in facilities if name not in seen]


def verdict(integrity: Integrity) -> str:
    """Return the totals and their meaning, in a few lines."""
    totals = integrity.totals
    lines = [_totals_line(totals) if totals.count + totals.unidentified else _NOTHING]
    if totals.unreadable:
        lines.append(
            f"{count(totals.unreadable)} stored documents, sketches or intervals cannot be "
            "read and are left out of every answer"
        )
    if integrity.removed_before:
        lines.append(_removed(integrity))
    lines += _set_aside(integrity.set_aside)
    if not integrity.intact:
        lines.append("NOT every reading is stored exactly once")
    return "\n".join(lines)


def _totals_line(totals: Totals) -> str:
    line = (
        f"{count(totals.count)} readings of {count(totals.sources)} sources: "
        f"lost {totals.lost}, duplicates {totals.duplicates}"
    )
    if totals.pending:
        line += f"; {count(totals.pending)} pending, which may still arrive"
    if totals.unidentified:
        line += f"; {count(totals.unidentified)} more without src and seq, which cannot be checked"
    return line


def _removed(integrity: Integrity) -> str:
    """Return from when on sources are checked, and how many older readings were removed."""
    times = integrity.removed_before.values()
    start, latest = min(times), max(times)
    since = start if start == latest else f"{start} to {latest} (by facility)"
    removed = integrity.totals.removed
    return f"checked from {since} on: {count(removed)} older readings were removed by retention"


def _set_aside(counts: SetAside) -> list[str]:
    lines = []
    if counts.dead_letters:
        lines.append(
            f"{count(counts.dead_letters)} messages were not readings, too old or too far "
            f"ahead: sensorpipe dead shows them, from the Kafka topic {DEAD_READINGS}"
        )
    if counts.refused:
        lines.append(
            f"{count(counts.refused)} partials could not be stored, so all their readings are "
            f"missing: sensorpipe dead shows them, from the Kafka topic {DEAD_COMPACTED}"
        )
    if counts.fenced:
        lines.append(
            f"{count(counts.fenced)} partials of replaced compactors were not counted, because "
            "their successors count the same readings (not a fault)"
        )
    if None in (counts.dead_letters, counts.refused):
        lines.append(
            "the number of dead letters is unknown: the server cannot read it from Kafka, or the "
            "token is not for all facilities"
        )
    return lines


def _cells(row: SourceRow, numbers: tuple[str, ...]) -> list[str]:
    source = "-" if row.src is None else row.src
    names = map(printable, (row.facility, row.sensor, source))
    values = (getattr(row, name) for name in numbers)
    return [*names, *("-" if value is None else str(value) for value in values)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line with names aligned to the left and numbers to the right."""
    padded = [
        cell + room if at < len(_NAMES) else room + cell
        for at, (cell, room) in enumerate(_with_room(cells, widths))
    ]
    return _GAP.join(padded)


def _with_room(cells: Sequence[str], widths: Sequence[int]) -> Iterator[tuple[str, str]]:
    for cell, columns in zip(cells, widths, strict=True):
        yield cell, " " * (columns - width(cell))
