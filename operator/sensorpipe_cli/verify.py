"""`sensorpipe verify`: asks a server whether every reading is stored exactly once."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sensorpipe_cli import api, errors, words
from sensorpipe_cli.api import Integrity, SourceRow, Totals
from sensorpipe_cli.ask import AskError, get
from sensorpipe_cli.errors import UnusableError

if TYPE_CHECKING:
    from rich.table import Table

SETTLED_SECONDS: Final = 15.0
"""No window of the default length closes later than this after its last reading."""

_PERIOD_SECONDS: Final = 1.0

Fetch = Callable[[], bytes]


def verify(url: str, *, wait_seconds: float | None, as_json: bool) -> int:
    """Print what the server at `url` answers and return the exit code; raise UnusableError."""
    base = url.rstrip("/")

    def fetch() -> bytes:
        return get(f"{base}/api/integrity", seconds=60)

    try:
        body = fetch() if wait_seconds is None else settled(fetch, wait_seconds)
        integrity = api.decode(body, Integrity, base)
    except AskError as error:
        raise UnusableError([f"cannot ask {error}"]) from error
    if as_json:
        sys.stdout.write(body.decode() + "\n")
    else:
        _print(integrity)
    return errors.OK if integrity.intact else errors.FAULT


def settled(
    fetch: Fetch,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bytes:
    """Return the answer once it has been the same for a while, or the last one in `seconds`.

    Raise AskError if there was no answer at all by then.
    """
    began = since = clock()
    last: bytes | None = None
    while True:
        try:
            body = fetch()
        except AskError:
            if last is None and clock() - began >= seconds:
                raise
            body = None
        if body is not None and body != last:
            last, since = body, clock()
        now = clock()
        if last is not None and (now - since >= SETTLED_SECONDS or now - began >= seconds):
            return last
        sleep(_PERIOD_SECONDS)


def table(integrity: Integrity) -> "Table":
    """Return one row a source, for terminals and, without lines, for pipes."""
    from rich import box  # noqa: PLC0415  --json and --help do without
    from rich.table import Table  # noqa: PLC0415  likewise
    from rich.text import Text  # noqa: PLC0415  likewise

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("facility", "sensor", "source"):
        drawn.add_column(name, overflow="fold")
    for name in ("first", "last", "count", "lost", "duplicates"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in integrity.data:
        cells = map(Text, _cells(row))  # a str would be taken for rich's markup
        drawn.add_row(*cells, style="bold red" if row.lost or row.duplicates else "")
    return drawn


def verdict(totals: Totals, *, intact: bool) -> str:
    """Return the totals and what they mean, in one or two lines."""
    if not totals.count + totals.unidentified:
        return "no readings are stored yet: nothing lost, nothing doubled, nothing proved"
    told = (
        f"{words.count(totals.count)} readings of {words.count(totals.sources)} sources: "
        f"lost {totals.lost}, duplicates {totals.duplicates}"
    )
    if totals.unidentified:
        told += f"; {words.count(totals.unidentified)} more had no src and seq to check them by"
    return told if intact else f"{told}\nNOT every reading is stored exactly once"


def _cells(row: SourceRow) -> list[str]:
    numbers = (row.first, row.last, row.count, row.lost, row.duplicates)
    source = "-" if row.src is None else row.src
    names = map(words.printable, (row.facility, row.sensor, source))
    return [*names, *("-" if n is None else str(n) for n in numbers)]


def _print(integrity: Integrity) -> None:
    from rich.console import Console  # noqa: PLC0415  --json and --help do without
    from rich.text import Text  # noqa: PLC0415  likewise

    # in a pipe, no column is cut or folded, however wide the table gets
    console = Console() if sys.stdout.isatty() else Console(width=10_000, color_system=None)
    if integrity.data:
        console.print(table(integrity))
    style = "bold green" if integrity.intact else "bold red"
    told = verdict(integrity.totals, intact=integrity.intact)
    console.print(Text(told, style if integrity.totals.count else "yellow"))
