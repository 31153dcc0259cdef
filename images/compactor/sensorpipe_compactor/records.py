"""Makes Kafka messages of partials and dead letters."""

from sensorpipe_schema import partial
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS
from sensorpipe_schema.partial import Partial

from sensorpipe_compactor.journal import Record
from sensorpipe_compactor.windows import DeadLetter

_MAX_DETAIL = 500
_MAX_TOPIC = 1_000


def partial_record(made: Partial, headers: list[tuple[str, bytes]] | None = None) -> Record:
    """Return the message of a partial; its key keeps a facility in one partition."""
    return Record(COMPACTED, made.facility.encode(), partial.encode(made), headers or [])


def dead_letter_record(letter: DeadLetter) -> Record:
    """Return the message of what is no reading: the payload, with the reason in its headers."""
    topic = letter.topic.encode()[:_MAX_TOPIC]
    headers = [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail.encode()[:_MAX_DETAIL]),
        ("mqtt_topic", topic),
    ]
    return Record(DEAD_READINGS, topic, letter.payload, headers)
