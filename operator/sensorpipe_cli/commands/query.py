"""`sensorpipe facilities`, `get`, `stats`, `series` and `tail`: what a server has stored."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import typer
from sensorpipe_client import (
    ApiError,
    Client,
    ClientError,
    FacilityStats,
    Retries,
    Series,
    Window,
)
from sensorpipe_client.requests import SeriesOptions

from sensorpipe_cli.client.token_file import read_token
from sensorpipe_cli.errors import INTERRUPTED, UnusableError
from sensorpipe_cli.terminal_text import printable
from sensorpipe_cli.views.rows import Printer, Row

_RETRIES: Final = Retries(times=2, seconds=15)
_FIGURES: Final = ("count", "avg", "min", "max", "stdev")
_WINDOW: Final = ("start", "end", "facility", "sensor", *_FIGURES, "complete")
_STATS: Final = ("facility", "sensor", *_FIGURES, "p50", "p95", "p99")
_FACILITY: Final = ("facility", "sensors", "last_start", "last_end")
_TAIL_WIDTHS: Final = (20, 20, 12, 12, 6, 9, 9, 9, 9)


@dataclass(frozen=True, slots=True)
class Server:
    """How the server is reached, and the form in which its answers are printed."""

    url: str
    form: str = "table"
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The windows that are asked for."""

    facilities: tuple[str, ...] = ()
    sensors: str = ""
    since: str | None = None
    until: str | None = None


def facilities(server: Server) -> None:
    """Print the facilities."""
    with connected(server) as client:
        rows = (
            (each.name, " ".join(each.sensors), each.last_window.start, each.last_window.end)
            for each in client.facilities()
        )
        print_lines(Printer(server.form, _FACILITY).lines(rows))


def get(server: Server, chosen: Chosen, limit: int) -> None:
    """Print the newest windows of a facility, one line for each sensor."""
    (name,) = chosen.facilities
    with connected(server) as client:
        found = client.windows(name, since=chosen.since, until=chosen.until, sensors=chosen.sensors)
        windows = list(islice(found, limit))
        if not windows:
            _refuse_unknown(client, chosen.facilities)
        rows = (row for window in windows for row in _window_rows(window))
        print_lines(Printer(server.form, _WINDOW).lines(rows))


def stats(server: Server, sensors: tuple[str, ...], chosen: Chosen) -> None:
    """Print statistics of sensors, one line for each facility and sensor."""
    name = next(iter(chosen.facilities), None)
    with connected(server) as client:
        found = client.stats(*sensors, facility=name, since=chosen.since, until=chosen.until)
        if not found and name:
            _refuse_unknown(client, chosen.facilities)
        rows = (row for each in found for row in _stats_rows(each))
        print_lines(Printer(server.form, _STATS).lines(rows))


def series(server: Server, chosen: Chosen, options: SeriesOptions) -> None:
    """Print figures over time, one line for each bucket, facility and sensor."""
    asked: SeriesOptions = {
        "sensors": chosen.sensors,
        "since": chosen.since,
        "until": chosen.until,
        **options,
    }
    with connected(server) as client:
        if server.form != "table":
            _refuse_unknown(client, chosen.facilities)  # before a head is printed
            pieces = client.stream_series(chosen.facilities, form=server.form, **asked)
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        found = client.series(chosen.facilities, **asked)
        if not found.rows:
            _refuse_unknown(client, chosen.facilities)
        print_lines(Printer("table", found.columns).lines(_series_rows(found)))


def tail(server: Server, chosen: Chosen) -> None:
    """Print windows as they are stored, until Ctrl-C."""
    with connected(server) as client:  # what is wrong from the beginning is said soon
        _refuse_unknown(client, chosen.facilities, ask=True)
    with connected(server, retries=None) as client:  # a server may be away for some minutes
        printer = Printer(server.form, _WINDOW, _TAIL_WIDTHS)
        print_lines(printer.head())
        for window in client.live(chosen.facilities, sensors=chosen.sensors):
            print_lines(map(printer.row, _window_rows(window)))


@contextmanager
def connected(server: Server, *, retries: Retries | None = _RETRIES) -> Iterator[Client]:
    """Yield a client; turn its errors into UnusableError, and Ctrl-C into its exit code.

    Without `retries` it tries as long as the client does by itself.
    """
    try:
        token = read_token(server.token_file)
        with Client(server.url, token=token, ca_file=server.ca_file, retries=retries) as client:
            yield client
    except ApiError as error:
        raise UnusableError([printable(each) for each in error.errors or (str(error),)]) from error
    except ClientError as error:
        raise UnusableError([f"cannot query {printable(str(error))}"]) from error
    except (OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise UnusableError([printable(str(error))]) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _refuse_unknown(client: Client, names: Iterable[str], *, ask: bool = False) -> None:
    """Raise UnusableError if a name, other than a pattern, is not that of a facility.

    The server is asked only if there are such names, or with `ask`.
    """
    exact = [name for name in names if "*" not in name]
    if not exact and not ask:
        return
    known = [each.name for each in client.facilities()]
    problems = [_unknown(name, known) for name in exact if name not in known]
    if problems:
        raise UnusableError(problems)


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    text = f"unknown facility {printable(repr(name))}"
    if near:
        return f"{text}; did you mean {' or '.join(near)}?"
    return f"{text}; `sensorpipe facilities` lists those that have sent readings"


def _window_rows(window: Window) -> Iterator[Row]:
    for name, found in sorted(window.sensors.items()):
        figures = [getattr(found, figure) for figure in _FIGURES]
        yield (window.start, window.end, window.facility, name, *figures, window.complete)


def _stats_rows(found: FacilityStats) -> Iterator[Row]:
    for name, figures in found.sensors.items():
        yield (found.facility, name, *[getattr(figures, each) for each in _STATS[2:]])


def _series_rows(found: Series) -> Iterator[Row]:
    for row in found.rows:
        yield [getattr(row, name) for name in found.columns]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines at once, so that a pipe gets them as they come."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
