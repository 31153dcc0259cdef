"""`sensorpipe up`: the whole pipeline on this machine, for as long as it is wanted."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sensorpipe_schema.sensor_file import SensorFilesError, load_files

from sensorpipe_cli import demo, display, options, summary
from sensorpipe_cli.assemble import assemble
from sensorpipe_cli.conduct import Conductor
from sensorpipe_cli.embedded import NotEmbeddedError
from sensorpipe_cli.errors import UnusableError
from sensorpipe_cli.interrupts import Interrupts
from sensorpipe_cli.options import Options
from sensorpipe_cli.pipeline import Pipeline
from sensorpipe_cli.poll import Poller
from sensorpipe_cli.snapshot import PartState, Snapshot
from sensorpipe_cli.workspace import Workspace

if TYPE_CHECKING:
    from sensorpipe_schema.sensor import Sensor

_SETTLE_SECONDS: Final = 30.0
"""Beyond a window and its lateness, for the last windows to close and be stored."""


def up(wanted: Options) -> int:
    """Run it all and return the exit code; raise UnusableError before anything starts."""
    sensors = read_sensors(wanted.files, options.problems(wanted))
    with Workspace(wanted.data) as workspace:
        return asyncio.run(_up(sensors, wanted, workspace))


def read_sensors(files: tuple[Path, ...], problems: list[str] | None = None) -> "list[Sensor]":
    """Return the Sensors of files and folders; raise UnusableError, other problems included."""
    found = list(problems or [])
    sensors: list[Sensor] = []
    try:
        sensors = load_files(files or [demo.folder()])
    except SensorFilesError as error:
        found = [*map(str, error.problems), *found]
    except OSError as error:
        found.insert(0, f"{error.filename}: cannot be read: {error.strerror}")
    if found:
        raise UnusableError(found)
    return sensors


async def _up(sensors: "list[Sensor]", wanted: Options, workspace: Workspace) -> int:
    try:
        pipeline = assemble(sensors, wanted, workspace)
    except NotEmbeddedError as error:
        raise UnusableError([str(error)]) from error
    facilities = sorted({sensor.spec.facility for sensor in sensors})
    poller = Poller(pipeline.server.address, pipeline.generators, facilities)
    conductor = Conductor(pipeline, poller, _SETTLE_SECONDS + options.window_seconds(os.environ))
    links = _links(pipeline, workspace)

    def take() -> Snapshot:
        parts = (PartState(part.name, part.state, part.address) for part in pipeline.parts)
        return Snapshot(
            events=tuple(pipeline.events),
            phase=conductor.phase,
            elapsed=conductor.elapsed,
            limit=wanted.seconds,
            parts=tuple(parts),
            links=links,
            figures=poller.figures,
        )

    with Interrupts() as interrupts:
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(poller.forever(), name="poller"),
                tasks.create_task(_show(take, interrupts, tty=wanted.tty), name="display"),
            ]
            ending = await conductor.run(wanted.seconds, interrupts)
            for task in watching:
                task.cancel()
    if conductor.obituary:
        workspace.keep()
        print(conductor.obituary, file=sys.stderr)  # noqa: T201  this is a command for people
    kept = workspace.logs if workspace.kept else None
    _print(summary.lines(ending, poller.figures, conductor.elapsed, kept))
    return summary.exit_code(ending, poller.figures)


async def _show(take: display.Take, interrupts: Interrupts, *, tty: bool) -> None:
    """Show the run until cancelled; nobody reading any more ends it."""
    try:
        if tty and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            await display.live(take)
        else:
            await display.plain(take, display.echo)
    except OSError:
        display.reader_is_gone()
        interrupts.first.set()


def _print(told: list[str]) -> None:
    try:
        for line in told:
            display.echo(line)
    except OSError:
        display.reader_is_gone()


def _links(pipeline: Pipeline, workspace: Workspace) -> tuple[tuple[str, str], ...]:
    api = pipeline.server.address
    return (
        ("API", f"{api}/api/facilities"),
        ("verify", f"sensorpipe verify --url {api}"),
        ("metrics", f"{api}/metrics, {pipeline.compactor.address}/metrics"),
        ("logs", str(workspace.logs)),
    )
