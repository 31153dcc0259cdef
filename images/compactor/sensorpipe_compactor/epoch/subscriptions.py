"""Which topic filters the broker's session may hold, remembered in what we write to Kafka.

MQTT can neither list a session's subscriptions nor replace them: a filter of earlier settings
goes on until somebody ends it by its text. So each fence and each partial carries, in a header,
the filters that may be subscribed when it is written. All that a start finds it ends: that is
harmless where somebody has done it already.

The same header tells a start which topics are new to it. Another compactor may have had those, and
what it wrote of them, none of our records tells.
"""

from collections.abc import Iterable
from typing import Final

from aiokafka import ConsumerRecord
from sensorpipe_schema.topic_filters import covers

HEADER: Final = "mqtt_filters"

_FORMER: Final = "\n\n"
"""Between the filters of the settings and former ones."""


def filters_header(wanted: Iterable[str], former: Iterable[str] = ()) -> tuple[str, bytes]:
    """Return the Kafka header that says which filters may be subscribed; none has a newline."""
    value = "\n".join(sorted(wanted))
    if ended := "\n".join(sorted(former)):
        value += _FORMER + ended
    return HEADER, value.encode()


class Subscriptions:
    """Filters of our settings, and those of earlier settings that the session may still have."""

    def __init__(self, wanted: Iterable[str], *, is_taking_over: bool = False) -> None:
        self.is_taking_over = is_taking_over
        """Whether, by our settings, another compactor may go on to take the same topics."""
        self.filters = frozenset(wanted)
        self.former_filters: set[str] = set()
        """Filters of earlier settings; the subscriber removes those that it has unsubscribed."""
        self._first = self.filters
        self._last: dict[int, tuple[int, frozenset[str]]] = {}
        """By partition: offset of our last record in it, and the filters of its settings."""
        self._others_may_write: bool | None = None

    def want(self, filters: Iterable[str]) -> None:
        """Take other filters as those of our settings; those that are gone become former ones."""
        wanted = frozenset(filters)
        self.former_filters |= self.filters - wanted
        self.former_filters -= wanted
        self.filters = wanted

    def note(self, record: ConsumerRecord) -> None:
        """Take note of a record of our own."""
        wanted: frozenset[str] = frozenset()
        for key, value in record.headers:
            if key == HEADER:
                text = value.decode(errors="replace")
                held = filter(None, text.split("\n"))
                self.former_filters.update(set(held) - self.filters)
                wanted = frozenset(text.partition(_FORMER)[0].split("\n"))
        if record.offset >= self._last.get(record.partition, (0, wanted))[0]:
            self._last[record.partition] = record.offset, wanted

    @property
    def others_may_write(self) -> bool:
        """Whether another compactor may have written readings of our topics before this run.

        It is so by the settings, or if a topic is new to us. This is decided when it is first
        asked for: by the records of earlier runs, before there are any of this one.
        """
        if self._others_may_write is None:
            self._others_may_write = self.is_taking_over or self._have_new()
        return self._others_may_write

    def _have_new(self) -> bool:
        """Whether the run before did not have all topics of our first filters."""
        before = [wanted for _, wanted in self._last.values()]
        return not before or any(
            not any(covers(wide, narrow) for wide in wanted)
            for wanted in before
            for narrow in self._first
        )

    def header(self) -> tuple[str, bytes]:
        """Return the header of each record: with former filters until they are unsubscribed."""
        return filters_header(self.filters, self.former_filters)
