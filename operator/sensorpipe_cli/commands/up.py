"""`sensorpipe up`: runs the whole pipeline on this machine."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from sensorpipe_schema.manifest_files import Manifests

from sensorpipe_cli.client.figures import PartState, Snapshot
from sensorpipe_cli.commands import summary
from sensorpipe_cli.commands.check import read_manifests
from sensorpipe_cli.errors import UnusableError
from sensorpipe_cli.runner import options
from sensorpipe_cli.runner.assemble import assemble
from sensorpipe_cli.runner.embedded import NotEmbeddedError
from sensorpipe_cli.runner.feed_links import FeedLinks
from sensorpipe_cli.runner.options import Options
from sensorpipe_cli.runner.pipeline import Pipeline
from sensorpipe_cli.runner.poller import Poller
from sensorpipe_cli.runner.runner import Interrupts, Runner
from sensorpipe_cli.runner.workspace import Workspace
from sensorpipe_cli.views import display

_SETTLE_SECONDS: Final = 30.0
"""Longest wait for the last windows to be stored, beyond the length and lateness of a window."""


def up(wanted: Options) -> int:
    """Run the pipeline and return the exit code; raise UnusableError before anything starts."""
    found = read_manifests(wanted.files, options.problems(wanted))
    try:
        with Workspace(wanted.data) as workspace:
            return asyncio.run(_up(found, wanted, workspace))
    except NotEmbeddedError as error:
        raise UnusableError([str(error)]) from error


async def _up(found: Manifests, wanted: Options, workspace: Workspace) -> int:
    pipeline = assemble(found, wanted, workspace)
    facilities = sorted({sensor.spec.facility for sensor in found.sensors})
    poller = Poller(pipeline.server.address, pipeline.generators, facilities, pipeline.compactor)
    runner = Runner(pipeline, poller, _SETTLE_SECONDS + options.window_seconds(os.environ))
    links = _links(pipeline, workspace)
    background = {"poller": poller.forever()}
    if found.feeds:
        with_feeds = map(Path, dict.fromkeys(found.places.values()))
        background["feeds"] = FeedLinks(workspace.feeds, wanted.files, with_feeds).follow()

    def take() -> Snapshot:
        parts = (PartState(part.name, part.state, part.address) for part in pipeline.parts)
        return Snapshot(
            events=tuple(pipeline.events),
            phase=runner.phase,
            elapsed=runner.elapsed,
            limit=wanted.seconds,
            parts=tuple(parts),
            links=links,
            figures=poller.figures,
        )

    with Interrupts() as interrupts:
        async with asyncio.TaskGroup() as tasks:
            background["display"] = _show(take, interrupts, tty=wanted.tty)
            watching = [tasks.create_task(each, name=name) for name, each in background.items()]
            ending = await runner.run(wanted.seconds, interrupts)
            for task in watching:
                task.cancel()
    if runner.failure_report:
        workspace.keep()
        print(runner.failure_report, file=sys.stderr)  # noqa: T201  this is a command for people
    kept = workspace.logs if workspace.kept else None
    _print(summary.lines(ending, poller.figures, runner.elapsed, kept))
    return summary.exit_code(ending, poller.figures)


async def _show(take: display.Take, interrupts: Interrupts, *, tty: bool) -> None:
    """Show the run until cancelled; end the run if stdout is closed."""
    try:
        if tty and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            await display.live(take)
        else:
            await display.plain(take, display.echo)
    except OSError:
        display.discard_output()
        interrupts.first.set()


def _print(lines: list[str]) -> None:
    try:
        for line in lines:
            display.echo(line)
    except OSError:
        display.discard_output()


def _links(pipeline: Pipeline, workspace: Workspace) -> tuple[tuple[str, str], ...]:
    api = pipeline.server.address
    devices = pipeline.devices
    return (
        ("page", f"{api}/"),
        ("API", f"{api}/api/facilities"),
        *([] if devices is None else [("devices", f"publish to {devices}")]),
        ("verify", f"sensorpipe verify --url {api}"),
        ("metrics", f"{pipeline.server.metrics_url}, {pipeline.compactor.metrics_url}"),
        ("logs", str(workspace.logs)),
    )
