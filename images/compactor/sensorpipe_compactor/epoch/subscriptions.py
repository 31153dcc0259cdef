"""Which topic filters the broker's session may hold, remembered in what we write to Kafka.

MQTT can neither list a session's subscriptions nor replace them: a filter of earlier settings
goes on until somebody ends it by its text. So each fence and each partial carries, in a header,
the filters that may be subscribed when it is written. All that a start finds it ends: that is
harmless where somebody has done it already.
"""

from collections.abc import Iterable
from typing import Final

from aiokafka import ConsumerRecord

HEADER: Final = "mqtt_filters"


def filters_header(filters: Iterable[str]) -> tuple[str, bytes]:
    """Return the Kafka header that says which filters may be subscribed; none has a newline."""
    return HEADER, "\n".join(sorted(filters)).encode()


class Subscriptions:
    """Filters of our settings, and those of earlier settings that the session may still have."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.filters = frozenset(wanted)
        self.former_filters: set[str] = set()
        """Filters of earlier settings; the subscriber removes those that it has unsubscribed."""

    def want(self, filters: Iterable[str]) -> None:
        """Take other filters as those of our settings; those that are gone become former ones."""
        wanted = frozenset(filters)
        self.former_filters |= self.filters - wanted
        self.former_filters -= wanted
        self.filters = wanted

    def note(self, record: ConsumerRecord) -> None:
        """Take note of a record of our own."""
        for key, value in record.headers:
            if key == HEADER:
                held = filter(None, value.decode(errors="replace").split("\n"))
                self.former_filters.update(set(held) - self.filters)

    def header(self) -> tuple[str, bytes]:
        """Return the header of each record: with former filters until they are unsubscribed."""
        return filters_header(self.filters | self.former_filters)
