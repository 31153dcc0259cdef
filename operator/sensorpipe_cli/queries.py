"""The commands that ask a server, and their options."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

if TYPE_CHECKING:
    from sensorpipe_cli.commands.query import Chosen, Server

Url = Annotated[str, typer.Option(envvar="SENSORPIPE_URL", help="Address of the server.")]
TokenFile = Annotated[
    Path | None,
    # checked where it is read: typer takes - for the name of a file, as its value is a Path
    typer.Option(metavar="FILE", help="File with the token to send; - is standard input."),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Certificates to verify the server with, in PEM.",
    ),
]
Form = Annotated[
    Literal["table", "csv", "ndjson", "json"],
    typer.Option("-o", "--output", help="Form of output."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="From this time on: -15m, -7d, 2026-01-02 or RFC 3339."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")]
Sensors = Annotated[str, typer.Option(metavar="NAMES", help="Only these sensors: a,b.")]
Facility = Annotated[str, typer.Argument(metavar="FACILITY", show_default=False)]
Facilities = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FACILITIES",
        help="Names, or patterns such as 'hall_*'; without any, all.",
        show_default=False,
    ),
]

URL: Final = "http://127.0.0.1:8080"


def facilities(
    *,
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """List the facilities, their sensors and their newest windows."""
    from sensorpipe_cli.commands import query  # noqa: PLC0415  keeps --help fast

    query.facilities(_server(url, output, token_file, ca_file))


def get(
    *,
    facility: Facility,
    limit: Annotated[int, typer.Option(min=1, help="Largest number of windows.")] = 10,
    since: Since = None,
    until: Until = None,
    sensors: Sensors = "",
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """Show the newest windows of a facility, one line for each sensor."""
    from sensorpipe_cli.commands import query  # noqa: PLC0415  keeps --help fast

    server = _server(url, output, token_file, ca_file)
    query.get(server, _chosen([facility], sensors, since, until), limit)


def stats(
    *,
    sensors: Annotated[list[str], typer.Argument(metavar="SENSORS", show_default=False)],
    facility: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this facility.")
    ] = None,
    since: Since = None,
    until: Until = None,
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """Show statistics of sensors over a range of time, for each facility."""
    from sensorpipe_cli.commands import query  # noqa: PLC0415  keeps --help fast

    server = _server(url, output, token_file, ca_file)
    chosen = _chosen([facility] if facility else [], "", since, until)
    query.stats(server, tuple(sensors), chosen)


def series(
    *,
    facilities: Facilities = None,
    since: Since = None,
    until: Until = None,
    sensors: Sensors = "",
    every: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Length of the buckets, such as 1h; or auto."),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            min=1, help="Largest number of buckets where the server chooses their length."
        ),
    ] = None,
    fields: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Figures: avg, min, max, count, stdev, p50, p95, p99."),
    ] = "",
    complete: Annotated[
        bool, typer.Option("--complete", help="Leave out buckets that may still change.")
    ] = False,
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """Show figures of sensors over time, by default of the last 24 hours."""
    from sensorpipe_cli.commands import query  # noqa: PLC0415  keeps --help fast

    query.series(
        _server(url, output, token_file, ca_file),
        _chosen(facilities or [], sensors, since, until),
        {"every": every, "points": points, "fields": fields, "complete": complete},
    )


def tail(
    *,
    facilities: Facilities = None,
    sensors: Sensors = "",
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """Show windows as they are stored, until Ctrl-C.

    A window is shown again when more of its readings are stored.
    """
    from sensorpipe_cli.commands import query  # noqa: PLC0415  keeps --help fast

    server = _server(url, output, token_file, ca_file)
    query.tail(server, _chosen(facilities or [], sensors, None, None))


def dead(
    *,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only those with this reason.")
    ] = None,
    feed: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this Feed.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=200, help="Largest number of dead letters.")
    ] = 50,
    url: Url = URL,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    output: Form = "table",
) -> None:
    """Show refused messages, why, and what to do about them.

    The newest come first, with --follow last. The other forms of output have the payload as well.
    """
    from sensorpipe_cli.commands import dead as command  # noqa: PLC0415  keeps --help fast

    server = _server(url, output, token_file, ca_file)
    command.dead(server, command.Wanted(reason, feed), limit, follow=follow)


COMMANDS: Final[tuple[Callable[..., Any], ...]] = (facilities, get, stats, series, tail, dead)


def _server(url: str, form: str, token_file: Path | None, ca_file: Path | None) -> "Server":
    from sensorpipe_cli.commands.query import Server  # noqa: PLC0415  keeps --help fast

    return Server(url, form, token_file, ca_file)


def _chosen(facilities: list[str], sensors: str, since: str | None, until: str | None) -> "Chosen":
    from sensorpipe_cli.commands.query import Chosen  # noqa: PLC0415  keeps --help fast

    return Chosen(tuple(facilities), sensors, since, until)
