"""`sensorpipe check`: validates Sensor files and lists the Sensors in them."""

from pathlib import Path

from sensorpipe_runtime.duration import format_ms

from sensorpipe_cli.commands.sensor_files import read_sensors
from sensorpipe_cli.views.display import echo


def check(files: tuple[Path, ...]) -> None:
    """Print one line for each Sensor; raise UnusableError with all the errors."""
    for sensor in read_sensors(files):
        spec = sensor.spec
        measured = ", ".join(measurement.name for measurement in spec.measurements)
        devices = "1 device" if spec.count == 1 else f"{spec.count} devices"
        suspended = ", suspended" if spec.suspend else ""
        echo(
            f"{sensor.name}: facility {spec.facility}, {devices} every "
            f"{format_ms(spec.interval_ms)}, {measured}{suspended}"
        )
