"""How large a record a topic takes, as it is told and as it changes."""

import pytest
from sensorpipe_compactor.output import topic_limit
from sensorpipe_compactor.output.topic_limit import MAX_REQUEST, TopicLimit
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_schema.names import COMPACTED


class Topic:
    """Tells its `max.message.bytes`, or None as a broker does that keeps it to itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
        self.limit = limit
        monkeypatch.setattr(topic_limit, "_max_message_bytes", self._tell)
        nowhere = KafkaSettings("127.0.0.1:1", "PLAINTEXT", "PLAIN", None, None, None)
        self.known = TopicLimit(nowhere, COMPACTED)

    async def _tell(self, *_: object) -> int | None:
        return self.limit


async def test_a_limit_is_raised_again_where_the_topic_says_so(monkeypatch: pytest.MonkeyPatch):
    topic = Topic(monkeypatch, 2_000)
    assert await topic.known.learn([3_000]) == 2_000
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (2_000, 2_000)
    assert not await topic.known.look_again()
    topic.limit = 100_000
    assert await topic.known.look_again()
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (100_000, 100_000)
    topic.limit = 2 * MAX_REQUEST
    assert await topic.known.look_again()
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (MAX_REQUEST, 512 * 1024)
    assert not await topic.known.look_again()


@pytest.mark.parametrize("told", [None, 500])
async def test_asking_again_lowers_no_limit(monkeypatch: pytest.MonkeyPatch, told: int | None):
    topic = Topic(monkeypatch, 2_000)
    await topic.known.learn([3_000])
    topic.limit = told
    assert not await topic.known.look_again()
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (2_000, 2_000)


async def test_a_limit_learned_from_refusals_gives_way_to_one_that_is_reported(
    monkeypatch: pytest.MonkeyPatch,
):
    topic = Topic(monkeypatch, None)
    await topic.known.learn([3_000])
    await topic.known.learn([3_000])
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (1_500, 1)
    topic.limit = 50_000
    assert await topic.known.look_again()
    assert (topic.known.max_bytes, topic.known.batch_bytes) == (50_000, 50_000)
