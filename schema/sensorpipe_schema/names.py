"""Topics and the names in them: docs/design.md, Readings and Compacted readings."""

import re
from typing import Final

from sensorpipe_schema.mistakes import as_name

READINGS_PREFIX: Final = "sensor_readings"
READINGS_FILTER: Final = f"{READINGS_PREFIX}/#"
DEAD_READINGS: Final = "sensor_readings.dead_letter"
COMPACTED: Final = "compacted_sensor_readings"
DEAD_COMPACTED: Final = "compacted_sensor_readings.dead_letter"
SERVER_GROUP: Final = "data_server_group"

NAME_PATTERN: Final = r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
MAX_UNIT: Final = 32
"""Largest number of characters in the unit of a sensor."""

NAME_RULE: Final = (
    "1 to 63 lower-case letters, digits, '-' or '_', beginning and ending with a letter or digit"
)

_is_name = re.compile(NAME_PATTERN, re.ASCII).fullmatch


class BadTopicError(ValueError):
    """An MQTT topic that is not one of readings; `reason` is the reason of the dead letter."""

    def __init__(self, reason: str, topic: str, hint: str = "") -> None:
        super().__init__(f"{reason}: {topic!r} is not {READINGS_PREFIX}/FACILITY/SENSOR{hint}")
        self.reason = reason


def is_name(text: str) -> bool:
    """Whether `text` may name a facility or a sensor."""
    return _is_name(text) is not None


def reading_topic(facility: str, sensor: str) -> str:
    """Return the MQTT topic of a sensor's readings."""
    return f"{READINGS_PREFIX}/{facility}/{sensor}"


def _name_hint(text: str) -> str:
    """Return what a name is, and which one comes closest."""
    near = as_name(text)
    return f": a name is {NAME_RULE}" + (f"; {near!r} is one" if near else "")


def split_topic(topic: str) -> tuple[str, str]:
    """Return facility and sensor of the MQTT topic of a reading, or raise BadTopicError."""
    parts = topic.split("/")
    if len(parts) != 3 or parts[0] != READINGS_PREFIX:  # noqa: PLR2004  three levels
        raise BadTopicError("bad_topic", topic)
    _, facility, sensor = parts
    if not is_name(facility):
        raise BadTopicError("bad_facility_name", topic, _name_hint(facility))
    if not is_name(sensor):
        raise BadTopicError("bad_sensor_name", topic, _name_hint(sensor))
    return facility, sensor
