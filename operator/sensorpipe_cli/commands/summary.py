"""The summary of a run and its exit code."""

from pathlib import Path

from sensorpipe_cli import errors
from sensorpipe_cli.client.figures import Figures
from sensorpipe_cli.runner.runner import Ending
from sensorpipe_cli.views.formatting import by_reason, clock, count, name_list


def exit_code(ending: Ending, figures: Figures) -> int:
    """Return 0 only if every published reading is stored exactly once.

    Dead letters alone give SET_ASIDE (3).
    """
    if ending in (Ending.EARLY, Ending.AT_ONCE):
        return errors.INTERRUPTED
    totals = figures.totals
    if ending is Ending.FAILED or totals is None or totals.lost or totals.duplicates:
        return errors.FAULT
    if figures.missing or figures.set_aside.refused or totals.unreadable:
        return errors.FAULT
    return errors.SET_ASIDE if figures.set_aside.dead_letters else errors.OK


def lines(ending: Ending, figures: Figures, elapsed: float, kept: Path | None) -> list[str]:
    """Return the lines of the summary; `elapsed` is in seconds, `kept` the folder of the logs."""
    summary = _figures(figures, elapsed) if elapsed else []
    if ending is not Ending.DONE:
        summary.append(f"sensorpipe up: {ending}")
    elif figures.missing:
        summary.append(f"{count(figures.missing)} published readings were not stored in time")
    if kept is not None:
        summary.append(f"logs: {kept}")
    return summary


def _figures(figures: Figures, elapsed: float) -> list[str]:
    totals, aside = figures.totals, figures.set_aside
    stored = [name for name, latest in figures.facilities.items() if latest and latest.windows]
    table = {
        "ran": clock(elapsed),
        "readings published": count(figures.published),
        "given up": count(figures.given_up) if figures.given_up else "",
        "stored": count(figures.stored),
        "stored of others": count(figures.others) if figures.others else "",
        "without src and seq": count(totals.unidentified) if totals and totals.unidentified else "",
        "windows": count(figures.windows),
        "lost": count(totals.lost) if totals else "unknown",
        "pending": count(totals.pending) if totals and totals.pending else "",
        "duplicates": count(totals.duplicates) if totals else "unknown",
        "unreadable in the database": count(totals.unreadable)
        if totals and totals.unreadable
        else "",
        "refused messages": by_reason(figures.refused) if figures.refused else "",
        "refused partials": count(aside.refused) if aside.refused else "",
        "dead letters": count(aside.dead_letters) if aside.dead_letters else "",
        "facilities": f"{len(stored)} ({name_list(stored)})" if stored else "0",
    }
    width = max(map(len, table))
    return [f"{name:<{width}}  {value}" for name, value in table.items() if value]
