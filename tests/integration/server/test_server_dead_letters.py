"""`/api/dead-letters` on the embedded broker and on Apache Kafka."""

import asyncio
import uuid
from datetime import UTC, datetime
from unittest.mock import MagicMock

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import PARTITIONS, KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounter, DeadLetterCounts
from sensorpipe_server.api.dead_letters import tail
from sensorpipe_server.api.dead_letters.newest import FIRST_STEP, Bounds, Wanted
from sensorpipe_server.api.dead_letters.tail import DeadLetterTail
from support import secured_parts, services
from support.dead_letters import refused_message, refused_partial, write
from support.server_parts import client_of
from support.services import running
from support.waiting import eventually

WHEN = 1_795_773_600_000
"""When the first letter of a test was written, in unix milliseconds."""

KINDS = ("not_json", "bad_val", "too_old")
PATH = "/api/dead-letters"


def settings_of(port):
    bootstrap = f"127.0.0.1:{port}"
    return KafkaSettings.read(Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": bootstrap}))


def topics():
    """Return topics of the test's own: the brokers serve all tests."""
    run = uuid.uuid4().hex
    return f"readings-{run}", f"partials-{run}"


@pytest.fixture(params=["kafka", "tansu"])
def broker(request):
    """The settings of either broker."""
    return settings_of(request.getfixturevalue(request.param).port)


@pytest.fixture
async def source(broker):
    """The dead letters in two topics that exist."""
    made = DeadLetterTail(broker, topics())
    await ensure_topics(broker, *made.topics)

    async def are_known():
        newest = await made.search(Wanted(1))
        return all(newest.held(name) == 0 for name in made.topics)

    await eventually(are_known)
    return made


async def written(source, *letters, topic=0, at_ms=WHEN, partition=None):
    """Write letters, and wait until the broker says that they are there."""
    name, bootstrap = source.topics[topic], source._settings.bootstrap
    before = (await source.search(Wanted(1))).held(name)
    await write(bootstrap, name, letters, at_ms=at_ms, partition=partition)

    async def are_there():
        return (await source.search(Wanted(1))).held(name) == before + len(letters)

    await eventually(are_there)


async def asked(source, query="", status=200):
    async with client_of(MagicMock(), dead_letters=source) as client:
        answer = await client.get(PATH + query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_both_topics_are_answered_newest_first_with_all_that_is_known(source):
    text = '{"ts": 1, "val": "20.1"}'
    await written(
        source,
        refused_message("bad_val", "sensor_readings/hall/t", text.encode(), "bad_val: a string"),
        refused_message("not_a_number", "zigbee2mqtt/lamp", b"\xff", "Feed z: /t", feed="z"),
    )
    await written(source, refused_partial("not_protobuf", b"\x00\xff"), topic=1, at_ms=WHEN + 100)
    found = await asked(source)
    places = [each.pop("kept_at") for each in found["data"]]
    assert [each["topic"] for each in places] == [source.topics[n] for n in (1, 0, 0)]
    partial_, of_feed, native = found["data"]
    assert native == {
        "at": "2026-11-27T10:00:00Z",
        "topic": "sensor_readings/hall/t",
        "reason": "bad_val",
        "detail": "a string",
        "what_to_do": "send val as a number without quotes",
        "feed": None,
        "payload": text,
        "payload_encoding": "utf-8",
        "payload_bytes": len(text),
        "read_from": None,
    }
    assert (of_feed["feed"], of_feed["payload"], of_feed["payload_encoding"]) == (
        "z",
        "/w==",
        "base64",
    )
    assert partial_["read_from"]["topic"] == "compacted_sensor_readings"
    assert (found["complete"], found["since"], found["looked_at"]) == (True, None, 3)
    held = {each["topic"]: each["held"] for each in found["topics"]}
    assert held == dict(zip(source.topics, (2, 1), strict=True))


async def test_the_newest_of_many_partitions_come_first_and_no_more_is_read_than_needed(source):
    for number in range(PARTITIONS):
        many = [refused_message("not_json", payload=b"%d" % n) for n in range(200)]
        await written(source, *many, partition=number, at_ms=WHEN + number)
    found = await asked(source, "?limit=30")
    times = [each["at"] for each in found["data"]]
    assert len(times) == 30
    assert times == sorted(times, reverse=True)
    newest = datetime.fromtimestamp((WHEN + 199 + PARTITIONS - 1) / 1000, UTC)
    assert datetime.fromisoformat(times[0]) == newest
    assert found["looked_at"] <= PARTITIONS * 2 * FIRST_STEP
    assert (found["complete"], found["since"]) == (False, times[-1])


async def test_letters_of_one_large_batch_are_all_found(source):
    many = [refused_message("not_json", payload=b"%d" % n) for n in range(150)]
    settings, name = source._settings, source.topics[0]
    await write(settings.bootstrap, name, many, at_ms=WHEN, partition=0, batch_bytes=1_000_000)

    async def are_there():
        found = await asked(source, "?limit=200")
        return [int(each["payload"]) for each in found["data"]] == list(range(149, -1, -1))

    await eventually(are_there)


async def test_filters_look_further_back(source):
    of_feed = refused_message("bad_time", feed="zigbee")
    await written(source, of_feed, refused_message("bad_time", feed="other"), partition=1)
    rest = [refused_message(KINDS[n % 3], payload=b"%d" % n) for n in range(300)]
    await written(source, *rest, partition=1, at_ms=WHEN + 1000)
    found = await asked(source, "?feed=zigbee")
    assert [each["feed"] for each in found["data"]] == ["zigbee"]
    assert (found["complete"], found["looked_at"]) == (True, 302)
    found = await asked(source, "?reason=too_old&limit=5")
    assert [each["payload"] for each in found["data"]] == ["299", "296", "293", "290", "287"]
    assert await asked(source, "?reason=bad_time&feed=zigbee&limit=1")
    assert (await asked(source, "?reason=no_ts"))["data"] == []


async def test_where_a_bound_ends_the_search_it_says_how_far_back_it_looked(source):
    many = [refused_message("not_json", payload=b"%d" % n) for n in range(300)]
    await written(source, *many, partition=0)
    source._bounds = Bounds(records=100)
    found = await asked(source, "?reason=no_ts")
    assert (found["data"], found["complete"], found["looked_at"]) == ([], False, 100)
    assert datetime.fromisoformat(found["since"]).timestamp() * 1000 == WHEN + 200


async def test_a_search_that_runs_out_of_time_answers_what_is_certain(source, monkeypatch):
    many = [refused_message("not_json", payload=b"%d" % n) for n in range(300)]
    await written(source, *many, partition=0)
    read, steps = tail._read, []

    async def slow(consumer, newest, parts):
        steps.append(parts)
        if len(steps) > 1:
            await asyncio.Event().wait()
        await read(consumer, newest, parts)

    monkeypatch.setattr(tail, "_read", slow)
    source._bounds = Bounds(seconds=2)
    found = await asked(source, "?limit=100")
    assert [each["payload"] for each in found["data"]] == [str(n) for n in range(299, 283, -1)]
    assert (found["complete"], found["looked_at"]) == (False, FIRST_STEP)


async def test_other_tasks_run_between_a_few_records_each(source):
    await written(source, *[refused_message("not_json")] * 2000, partition=0)
    source._bounds = Bounds(records=2000)
    turns = 0

    async def ticking():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    ticker = asyncio.create_task(ticking())
    found = await source.search(Wanted(1, reason="no_ts"))
    ticker.cancel()
    assert found.records == 2000
    assert turns > 2000 / tail.AT_ONCE


async def test_no_group_is_left_and_each_search_closes_its_connection(source, monkeypatch):
    made = []

    def watched(**options):
        assert options["group_id"] is None
        assert options["enable_auto_commit"] is False
        made.append(AIOKafkaConsumer(**options))
        return made[-1]

    monkeypatch.setattr(tail, "AIOKafkaConsumer", watched)
    await asyncio.gather(*(source.search(Wanted(1)) for _ in range(3)))
    assert [each._closed for each in made] == [True] * 3


async def test_wrong_parameters_are_refused_together(source):
    found = await asked(source, "?limit=0&reason=Not+JSON&feed=-&since=1", 400)
    assert sorted(each.partition(":")[0] for each in found["errors"]) == [
        "Invalid feed",
        "Invalid limit",
        "Invalid reason",
        "Unknown parameter 'since'",
    ]
    assert "at most 200" in (await asked(source, "?limit=201", 400))["detail"]


async def test_without_kafka_it_is_503_and_says_what_to_do(tmp_path):
    port = free_port()
    source = DeadLetterTail(settings_of(port), bounds=Bounds(seconds=20))
    async with client_of(MagicMock(), dead_letters=source) as client:
        answer = await client.get(PATH)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "Kafka, which holds the dead letters, does not answer; check" in answer.text
        assert str(port) not in answer.text
        async with running(embedded.kafka_broker(port, tmp_path)):
            found = (await client.get(PATH)).json()
            assert [each["held"] for each in found["topics"]] == [None, None]
            assert found["complete"] is False
            await ensure_topics(settings_of(port), *source.topics)

            async def is_whole():
                return (await client.get(PATH)).json()["complete"]

            await eventually(is_whole)


async def test_a_kafka_that_accepts_and_says_nothing_is_503_in_time():
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        source = DeadLetterTail(settings_of(port), bounds=Bounds(seconds=0.2))
        found = await asked(source, status=503)
    assert "does not answer" in found["detail"]


async def test_of_many_requests_two_read_at_once_and_more_than_wait_are_refused():
    started, end = [], asyncio.Event()

    class Slow:
        topics = ("a", "b")

        async def search(self, wanted):
            started.append(wanted)
            await end.wait()
            raise ConnectionError

    async with client_of(MagicMock(), dead_letters=Slow()) as client:
        answers = [asyncio.create_task(client.get(PATH)) for _ in range(12)]
        done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert len(started) == 2
        assert {each.result().status_code for each in done} == {503}
        assert "limit of 2 requests" in done.pop().result().text
        end.set()
        await asyncio.gather(*answers)
    assert len(started) == 10


async def test_a_user_who_may_not_read_learns_which_right_is_missing(tmp_path):
    kafka = services.secured_kafka(tmp_path, secured_parts.KAFKA_USERS)
    async with running(kafka):
        names = topics()
        await secured_parts.create(kafka, *names)
        settings = secured_parts.kafka_settings(kafka, "server")
        source = DeadLetterTail(settings, names, Bounds(seconds=20))
        only_seen = {("topic", name): ["Describe"] for name in names}
        await secured_parts.allow(kafka, "server", only_seen)
        admin = secured_parts.kafka_settings(kafka, "admin")
        value, headers = refused_message("not_json")
        async with AIOKafkaProducer(**admin.client_options()) as producer:
            await producer.send_and_wait(names[0], value, headers=headers)
        found = await asked(source, status=503)
        assert f"give its Kafka user Read on {names[0]} and {names[1]}" in found["detail"]
        asking = DeadLetterCounter(settings, names)
        assert await asking.counts() == DeadLetterCounts(1, 0)  # by their offsets alone
        may_read = {("topic", name): ["Read"] for name in names}
        await secured_parts.allow(kafka, "server", may_read)
        assert len((await asked(source))["data"]) == 1
