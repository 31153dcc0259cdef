"""The commands of `sensorpipe` and their options; each imports its implementation when it runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sensorpipe_cli import queries

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: nothing cut, brackets as they are
    help="Simulated sensors, and a pipeline that counts every reading exactly once.",
    epilog="Exit codes: 0 all well, 1 lost, duplicate or missing readings or a process that "
    "crashed, 2 nothing could be started or the server cannot be reached, 3 dead letters, "
    "130 interrupted.",
)


def _version(wanted: bool) -> None:  # noqa: FBT001  typer's callbacks take the value
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  keeps the start fast

        typer.echo(f"sensorpipe {version('sensorpipe')}")
        raise typer.Exit


def _seconds(text: str) -> float:
    """Return a duration such as 1h30m in seconds, greater than zero."""
    from sensorpipe_runtime import duration  # noqa: PLC0415  keeps --help fast

    try:
        milliseconds = duration.parse_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if milliseconds <= 0:
        raise typer.BadParameter(f"must be greater than zero; got {text!r}")
    return milliseconds / 1000


@app.callback()
def _sensorpipe(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILES",
        help="Files of Sensors and Feeds (YAML or JSON) or folders of them; without any, the demo.",
        show_default=False,
    ),
]


@app.command()
def up(
    *,
    files: Files = None,
    duration: Annotated[
        float | None,
        typer.Option(
            parser=_seconds, metavar="DURATION", help="Stop after this time, such as 60s or 1h30m."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the API; 0 means any free port.")
    ] = 8080,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep MongoDB's data and the logs in this folder. "
            "Otherwise they are removed at the end, unless a process crashed.",
        ),
    ] = None,
    tty: Annotated[
        bool, typer.Option("--tty/--no-tty", help="Show a live view in a terminal, or plain lines.")
    ] = True,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where devices publish, HOST or HOST:PORT. Otherwise that is loopback, port 1883 "
            "or the next one that is free. Whoever reaches it may publish.",
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Your own MQTT 5 broker: mqtt[s]://[USER:PASSWORD@]HOST."),
    ] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Your own Kafka.")] = None,
    mongodb: Annotated[
        str | None, typer.Option(metavar="URI", help="Your own MongoDB: mongodb://HOST/DATABASE.")
    ] = None,
) -> None:
    """Run the whole pipeline on this machine until Ctrl-C.

    Starts an MQTT broker, Kafka and MongoDB, then the server, the compactor and a generator for
    each Sensor, all on loopback. Feeds say which messages of devices are readings; their files are
    read again when they change. At the end everything is stopped in order, what was published is
    compared with what is stored, and no process is left. A second Ctrl-C stops at once.

    Exits 0 only if every published reading is stored exactly once.
    """
    from sensorpipe_cli.commands.up import up as run  # noqa: PLC0415  likewise
    from sensorpipe_cli.runner.options import Options  # noqa: PLC0415  keeps --help fast

    raise typer.Exit(
        run(Options(tuple(files or ()), duration, port, data, mqtt, kafka, mongodb, listen, tty))
    )


@app.command()
def verify(
    *,
    url: queries.Url = queries.URL,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="First wait until the server answers, nothing is pending and its answer has not "
            "changed for 15 s, so that windows still open are included.",
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            parser=_seconds,
            metavar="DURATION",
            help="Wait no longer than this, then verify what is stored.",
        ),
    ] = "60s",  # type: ignore[assignment]  # typer passes it through the parser
    everything: Annotated[
        bool, typer.Option("--all", help="Show every source, not only faulty ones.")
    ] = False,
    facility: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this facility; may be given several times."),
    ] = None,
    ignore_dead_letters: Annotated[
        bool,
        typer.Option("--ignore-dead-letters", help="Report how many there are, but exit with 0."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the server's answer, which is JSON.")
    ] = False,
    token_file: queries.TokenFile = None,
) -> None:
    """Show how many readings are stored, lost or duplicate, and the faulty sources.

    Exits 0 only if no reading is lost and none is a duplicate; the two do not cancel out. Partials
    that could not be stored count as lost readings. A missing reading whose window is still open
    is pending, which is not a fault. Exits 3 if the only fault is dead letters: messages that are
    not readings, too old or too far ahead, for as long as Kafka keeps them. Exits 2 if the server
    cannot be reached. With no readings stored it says so and exits 0.
    """
    from sensorpipe_cli.commands.verify import VerifyOptions  # noqa: PLC0415  keeps --help fast
    from sensorpipe_cli.commands.verify import verify as run  # noqa: PLC0415  likewise

    chosen = VerifyOptions(
        facilities=tuple(dict.fromkeys(facility or ())),
        wait_seconds=timeout if wait else None,
        everything=everything,
        as_json=as_json,
        ignore_dead_letters=ignore_dead_letters,
        token_file=token_file,
    )
    raise typer.Exit(run(url, chosen))


@app.command()
def check(files: Files = None) -> None:
    """Check files, and list the Sensors and Feeds in them."""
    from sensorpipe_cli.commands.check import check as run  # noqa: PLC0415  keeps --help fast

    run(tuple(files or ()))


@app.command()
def token(
    *,
    secret_file: Annotated[
        Path,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="File with the server's secret."
        ),
    ],
    subject: Annotated[str, typer.Option(metavar="NAME", help="Whom the token is for.")],
    lifetime: Annotated[
        float,
        typer.Option("--for", parser=_seconds, metavar="DURATION", help="How long it is valid."),
    ] = "1h",  # type: ignore[assignment]  # typer passes it through the parser
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What the token grants itself: read, metrics or admin; may be given several "
            "times.",
        ),
    ] = None,
    facility: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Facility of the scopes, or pattern; may be given several times."
        ),
    ] = None,
    issuer: Annotated[str, typer.Option(metavar="NAME", help="The claim iss.")] = "sensorpipe",
    audience: Annotated[str, typer.Option(metavar="NAME", help="The claim aud.")] = "sensorpipe",
) -> None:
    """Print a token for the API, signed with a secret that the server's access file names.

    What it may read is up to the access file: by grants to its subject, or if claims.scopes and
    claims.facilities of the issuer are there, by --scope and --facility.
    """
    from sensorpipe_cli.commands.token import Claims  # noqa: PLC0415  keeps --help fast
    from sensorpipe_cli.commands.token import token as run  # noqa: PLC0415  likewise

    scopes, facilities = tuple(scope or ()), tuple(facility or ())
    run(secret_file, Claims(subject, issuer, audience, lifetime, scopes, facilities))


for command in queries.COMMANDS:
    app.command()(command)


feed_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Try Feeds.")
app.add_typer(feed_app, name="feed")


@feed_app.callback()
def _feed() -> None:
    pass


@feed_app.command("test")
def feed_test(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File or folder with Feeds.")],
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", "-t", help="Topic of the message.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="PAYLOAD", help="The message.")
    ] = None,
    listen: Annotated[
        float | None,
        typer.Option(
            parser=_seconds,
            metavar="DURATION",
            help="Instead: take the messages that a broker sends in this time, such as 10s.",
        ),
    ] = None,
    mqtt: Annotated[
        str, typer.Option(metavar="URL", help="The broker, which must speak MQTT 5.")
    ] = "mqtt://127.0.0.1:1883",
) -> None:
    """Print the readings that a Feed makes of a message, or why it makes none.

    Nothing is stored. Exits 1 if the message is refused, or no Feed takes its topic.
    """
    from sensorpipe_cli.commands import feed_test as command  # noqa: PLC0415  keeps --help fast

    if listen is not None and topic is None and message is None:
        raise typer.Exit(command.listen(file, mqtt, listen))
    if listen is not None or topic is None or message is None:
        raise typer.BadParameter("give either --topic and --message, or --listen")
    raise typer.Exit(command.test_message(file, topic, message))


def run() -> None:
    """Run the command line; exit with its code."""
    from sensorpipe_cli.errors import UNUSABLE, UnusableError  # noqa: PLC0415  after typer's errors

    try:
        app()
    except UnusableError as error:
        for problem in error.problems:
            typer.secho(problem, fg="red" if sys.stderr.isatty() else None, err=True)
        sys.exit(UNUSABLE)
