"""What is said at the end of a run."""

from pathlib import Path

from sensorpipe_cli import errors, words
from sensorpipe_cli.conduct import Ending
from sensorpipe_cli.snapshot import Figures


def exit_code(ending: Ending, figures: Figures) -> int:
    """Return 0 only for a run that proved every reading to be stored exactly once."""
    if ending in (Ending.EARLY, Ending.AT_ONCE):
        return errors.INTERRUPTED
    totals = figures.totals
    if ending is Ending.FAILED or totals is None or totals.lost or totals.duplicates:
        return errors.FAULT
    return errors.FAULT if figures.missing else errors.OK


def lines(ending: Ending, figures: Figures, elapsed: float, kept: Path | None) -> list[str]:
    """Return the summary, plain lines."""
    told = _figures(figures, elapsed) if elapsed else []
    if ending is not Ending.DONE:
        told.append(f"sensorpipe up: {ending}")
    elif figures.missing:
        told.append(f"{words.count(figures.missing)} published readings were not stored in time")
    if kept is not None:
        told.append(f"logs: {kept}")
    return told


def _figures(figures: Figures, elapsed: float) -> list[str]:
    totals = figures.totals
    stored = [name for name, latest in figures.facilities.items() if latest and latest.windows]
    table = {
        "ran": words.clock(elapsed),
        "readings published": words.count(figures.published),
        "given up": words.count(figures.given_up) if figures.given_up else "",
        "stored": words.count(figures.stored),
        "without src and seq": words.count(totals.unidentified)
        if totals and totals.unidentified
        else "",
        "windows": words.count(figures.windows),
        "lost": words.count(totals.lost) if totals else "unknown",
        "duplicates": words.count(totals.duplicates) if totals else "unknown",
        "facilities": f"{len(stored)} ({words.printable(', '.join(sorted(stored)))})"
        if stored
        else "0",
    }
    width = max(map(len, table))
    return [f"{name:<{width}}  {value}" for name, value in table.items() if value]
