"""Reads the Sensors and Feeds in files, and lists them: `sensorpipe check`."""

from pathlib import Path

import typer
from sensorpipe_runtime.duration import format_ms
from sensorpipe_schema.manifest_files import Manifests, SensorFilesError, load_manifests

from sensorpipe_cli.errors import UnusableError


def check(files: tuple[Path, ...]) -> None:
    """Print one line for each Sensor and Feed; raise UnusableError with all the errors."""
    found = read_manifests(files)
    for sensor in found.sensors:
        spec = sensor.spec
        measured = ", ".join(measurement.name for measurement in spec.measurements)
        devices = "1 device" if spec.count == 1 else f"{spec.count} devices"
        suspended = ", suspended" if spec.suspend else ""
        typer.echo(
            f"{sensor.name}: facility {spec.facility}, {devices} every "
            f"{format_ms(spec.interval_ms)}, {measured}{suspended}"
        )
    for feed in found.feeds:
        readings = ", ".join(rule.sensor.text for rule in feed.spec.readings or ())
        suspended = ", suspended" if feed.spec.suspend else ""
        typer.echo(
            f"{feed.name}: {feed.spec.topic.text} to facility {feed.spec.facility.text}, "
            f"{readings or 'every number'}{suspended}"
        )


def read_manifests(files: tuple[Path, ...], problems: list[str] | None = None) -> Manifests:
    """Return what is in files and folders; raise UnusableError, with `problems` added."""
    wrong = list(problems or [])
    found = Manifests([], [], {})
    try:
        found = load_manifests(files or [_demo_folder()])
    except SensorFilesError as error:
        wrong = [*map(str, error.problems), *wrong]
    except OSError as error:
        wrong.insert(0, f"{error.filename}: cannot be read: {error.strerror}")
    if wrong:
        raise UnusableError(wrong)
    return found


def _demo_folder() -> Path:
    """Return the folder of the demo's Sensors: in the installed package, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent.parent / "manifests" / "samples"
