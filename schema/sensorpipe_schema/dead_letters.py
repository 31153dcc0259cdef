"""Dead letters as Kafka holds them: their headers, and what to do about each reason."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REASON: Final = "reason"
"""Header: why the message cannot be used, one of `WHAT_TO_DO` or of a newer program."""

DETAIL: Final = "detail"
"""Header: what exactly is wrong, in words, at most 500 characters or bytes."""

MQTT_TOPIC: Final = "mqtt_topic"
"""Header of a message that is no reading: the MQTT topic that it came from."""

FEED: Final = "feed"
"""Header of a message that a Feed took: the Feed's name."""

CUT_FROM: Final = "cut_from"
"""Header of a message that was cut to fit into Kafka: how many bytes its payload had."""

KAFKA_TOPIC: Final = "topic"
"""Header of a partial that cannot be stored: the Kafka topic that it was read from."""

KAFKA_PARTITION: Final = "partition"
"""Header of a partial that cannot be stored: the partition that it was read from."""

KAFKA_OFFSET: Final = "offset"
"""Header of a partial that cannot be stored: its offset in that partition."""

LEFT_OUT: Final = "left_out"
"""Header of a partial that is too large together with these headers, and so is left out."""

_NATIVE: Final = 'send {"ts": Unix milliseconds, "val": number}'
_OF_A_PARTIAL: Final = "find out what else writes to the topic; only the compactor may"

WHAT_TO_DO: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_json": f"{_NATIVE}, as JSON; for another format write a Feed",
        "not_an_object": "send one JSON object in each message; for arrays write a Feed",
        "too_large": "send fewer values in a message: 8 KiB at most, 64 KiB for a Feed",
        "malformed_packet": "update the device's MQTT library: its packet is not valid",
        "no_ts": f"{_NATIVE}; for other keys write a Feed",
        "no_val": f"{_NATIVE}; for other keys write a Feed",
        "bad_ts": "send ts as a whole number of milliseconds since 1970, without quotes",
        "bad_val": "send val as a number without quotes",
        "val_not_finite": "send a val that a double can hold; leave out readings without a value",
        "bad_src": "send src as text of 1 to 128 characters, or neither src nor seq",
        "bad_seq": "send seq as a whole number from 1 on, or neither src nor seq",
        "bad_topic": "publish to sensor_readings/FACILITY/SENSOR; for other topics write a Feed",
        "bad_facility_name": "use a facility of lower-case letters, digits, '-' and '_'",
        "bad_sensor_name": "use a sensor name of lower-case letters, digits, '-' and '_'",
        "too_old": "send ts in milliseconds, and check the device's clock; at most 7 days ago",
        "ahead_of_time": "check the unit of the time, and the clocks of device and compactor",
        "partial_too_large": "raise max.message.bytes of the topic compacted_sensor_readings",
        "not_a_number": "name such a value in the Feed's `values` or `ignore`, or correct its path",
        "no_time": "correct `time` of the Feed; without it the time of arrival counts",
        "bad_time": "set `time.format` of the Feed to what the device sends",
        "not_an_array": "set `each` of the Feed to the path of an array, or leave it out",
        "too_many_items": "have the device send at most 1,000 items in a message",
        "too_many_sensors": "name the `readings` of the Feed, or put more keys into `except`",
        "not_influx": "send the line protocol of InfluxDB, or set `payload` of the Feed",
        "bad_identity": "correct `identity` of the Feed, or leave it out",
        "not_protobuf": _OF_A_PARTIAL,
        "bad_window": _OF_A_PARTIAL,
        "bad_moments": _OF_A_PARTIAL,
        "doubled_sensor": _OF_A_PARTIAL,
        "no_origin": _OF_A_PARTIAL,
        "bad_origin": _OF_A_PARTIAL,
        "bad_sketch": _OF_A_PARTIAL,
        "bad_sources": _OF_A_PARTIAL,
        "cannot_store": "report it as a bug, with the server's log",
        "refused_by_database": "see `detail`: MongoDB does not take this document",
        "window_removed": "retention has removed its time; send older readings sooner",
    }
)
"""By reason a short hint for whoever sent the message, or runs the pipeline."""

_OF_FEED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_json": "send valid JSON, or set `payload` of the Feed to what the device sends",
        "too_large": "have the device send fewer values in a message: 64 KiB at most",
        "bad_facility_name": "correct `facility` of the Feed: it gives no name for this message",
        "bad_sensor_name": "correct `sensor` in the Feed: it gives no name for this message",
        "too_old": "check the device's clock, and `time` of the Feed; at most 7 days ago",
        "ahead_of_time": "check the device's clock, and `time` and `timezone` of the Feed",
    }
)
"""Where a Feed took the message: hints that differ from those of a native one."""

UNKNOWN: Final = "see `detail`; a newer program wrote this reason"
"""The hint for a reason that this version does not know."""


def what_to_do(reason: str, *, of_feed: bool = False) -> str:
    """Return a short hint for a reason; with `of_feed` for a message that a Feed took."""
    return (_OF_FEED.get(reason) if of_feed else None) or WHAT_TO_DO.get(reason, UNKNOWN)
