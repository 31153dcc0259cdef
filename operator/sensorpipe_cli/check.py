"""`sensorpipe check`: reads Sensor files and says what is in them."""

from pathlib import Path

from sensorpipe_schema.duration import format_ms

from sensorpipe_cli.display import echo
from sensorpipe_cli.up import read_sensors


def check(files: tuple[Path, ...]) -> None:
    """Print a line a Sensor; raise UnusableError with everything that is wrong."""
    for sensor in read_sensors(files):
        spec = sensor.spec
        measured = ", ".join(measurement.name for measurement in spec.measurements)
        devices = "1 device" if spec.count == 1 else f"{spec.count} devices"
        suspended = ", suspended" if spec.suspend else ""
        echo(
            f"{sensor.name}: facility {spec.facility}, {devices} every "
            f"{format_ms(spec.interval_ms)}, {measured}{suspended}"
        )
