"""Reads the Sensors in files, and lists them: `sensorpipe check`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from sensorpipe_runtime.duration import format_ms
from sensorpipe_schema.manifest_files import SensorFilesError, load_files

from sensorpipe_cli.errors import UnusableError

if TYPE_CHECKING:
    from sensorpipe_schema.sensor import Sensor


def check(files: tuple[Path, ...]) -> None:
    """Print one line for each Sensor; raise UnusableError with all the errors."""
    for sensor in read_sensors(files):
        spec = sensor.spec
        measured = ", ".join(measurement.name for measurement in spec.measurements)
        devices = "1 device" if spec.count == 1 else f"{spec.count} devices"
        suspended = ", suspended" if spec.suspend else ""
        typer.echo(
            f"{sensor.name}: facility {spec.facility}, {devices} every "
            f"{format_ms(spec.interval_ms)}, {measured}{suspended}"
        )


def read_sensors(files: tuple[Path, ...], problems: list[str] | None = None) -> "list[Sensor]":
    """Return the Sensors in files and folders; raise UnusableError, with `problems` added."""
    found = list(problems or [])
    sensors: list[Sensor] = []
    try:
        sensors = load_files(files or [_demo_folder()])
    except SensorFilesError as error:
        found = [*map(str, error.problems), *found]
    except OSError as error:
        found.insert(0, f"{error.filename}: cannot be read: {error.strerror}")
    if found:
        raise UnusableError(found)
    return sensors


def _demo_folder() -> Path:
    """Return the folder of the demo's Sensors: in the installed package, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent.parent / "manifests" / "samples"
