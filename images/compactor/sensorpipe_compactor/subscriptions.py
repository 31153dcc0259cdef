"""Which topic filters the broker's session may hold, remembered in what we write to Kafka.

MQTT can neither list a session's subscriptions nor replace them: a filter of former settings
goes on until somebody ends it by its text. So each fence and each partial carries, in a header,
the filters that may be subscribed when it is written. The latest one tells a start what was.
"""

from collections.abc import Iterable
from typing import Final

from aiokafka import ConsumerRecord
from sensorpipe_schema.partial import Origin

HEADER: Final = "mqtt_filters"


def filters_header(filters: Iterable[str]) -> tuple[str, bytes]:
    """Return the Kafka header that says which filters may be subscribed; none has a newline."""
    return HEADER, "\n".join(sorted(filters)).encode()


class Subscriptions:
    """The filters of our settings, and those of former settings that the session may still have."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.wanted = frozenset(wanted)
        self._held: frozenset[str] = frozenset()
        self._told_by = (0, -1)

    @property
    def former(self) -> frozenset[str]:
        """The filters to be unsubscribed."""
        return self._held - self.wanted

    def note(self, record: ConsumerRecord, origin: Origin) -> None:
        """Take note of a record of our own; the one of the latest epoch and number counts."""
        written = (origin.epoch, origin.number)
        if written > self._told_by:
            for key, value in record.headers:
                if key == HEADER:
                    self._told_by = written
                    self._held = frozenset(filter(None, value.decode(errors="replace").split("\n")))

    def header(self) -> tuple[str, bytes]:
        """Return the header for a fence: what was held may be so until the broker has answered."""
        return filters_header(self.wanted | self.former)
