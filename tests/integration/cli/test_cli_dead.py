"""`sensorpipe dead` against a running API and the embedded Kafka."""

import csv
import io
import json
import signal
from unittest.mock import MagicMock

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import DEAD_COMPACTED, DEAD_READINGS
from sensorpipe_server.api.dead_letters.tail import DeadLetterTail
from sensorpipe_server.api.routes import application
from support.api_clients import answer, scripted, served
from support.commands import run, start
from support.dead_letters import refused_message, refused_partial, write
from support.services import running

WHEN = 1_795_773_600_000
TEXT = b'{"ts": 1, "val": "20.1"}'


@pytest.fixture
async def bootstrap(tmp_path):
    async with running(embedded.kafka_broker(free_port(), tmp_path)) as kafka:
        yield f"127.0.0.1:{kafka.port}"


@pytest.fixture
async def url(bootstrap):
    settings = KafkaSettings.read(Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": bootstrap}))
    await ensure_topics(settings, DEAD_READINGS, DEAD_COMPACTED)
    app = application(MagicMock(), page_limit=20, dead_letters=DeadLetterTail(settings))
    async with served(app) as at:
        yield at


@pytest.fixture
async def letters(bootstrap, url):  # noqa: ARG001  which makes the topics
    """Three dead letters, one of a Feed and one of a partial."""
    native = refused_message("bad_val", payload=TEXT, detail="bad_val: val is the string '20.1'")
    of_feed = refused_message(
        "not_a_number", "zigbee2mqtt/a\x1b[2J", b"\xff", "Feed z: /t: 'war\nm'", feed="zigbee"
    )
    await write(bootstrap, DEAD_READINGS, [native, of_feed], at_ms=WHEN)
    partial = refused_partial("not_protobuf", b"\xff", "x" * 300)
    await write(bootstrap, DEAD_COMPACTED, [partial], at_ms=WHEN + 10)


@pytest.mark.usefixtures("letters")
async def test_a_table_has_topic_reason_detail_and_what_to_do_and_moves_no_cursor(url):
    code, output, errors = await run(url, "dead")
    assert (code, errors) == (0, "")
    head, partial, of_feed, native = output.splitlines()
    assert head.split() == ["time", "topic", "reason", "detail", "what_to_do"]
    assert "compacted_sensor_readings" in partial
    assert "x" * 119 + "…" in partial
    assert r"zigbee2mqtt/a\x1b[2J" in of_feed
    assert r"Feed z: /t: 'war\nm'" in of_feed
    assert native.startswith("2026-11-27T10:00:00Z")
    assert native.endswith("send val as a number without quotes")
    assert "\x1b" not in output


@pytest.mark.usefixtures("letters")
async def test_reason_and_feed_choose(url):
    assert len((await run(url, "dead", "--reason", "bad_val"))[1].splitlines()) == 2
    assert len((await run(url, "dead", "--feed", "zigbee"))[1].splitlines()) == 2
    assert len((await run(url, "dead", "--limit", "1"))[1].splitlines()) == 2
    code, output, errors = await run(url, "dead", "--reason", "no_ts")
    assert (code, len(output.splitlines()), errors) == (0, 1, "no dead letters\n")


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("form", ["csv", "ndjson", "json"])
async def test_forms_for_programs_have_the_payload_and_the_place_in_kafka(url, form):
    code, output, _ = await run(url, "dead", "-o", form)
    assert code == 0
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(output)))
    else:
        rows = json.loads(output) if form == "json" else list(map(json.loads, output.splitlines()))
    partial, of_feed, native = rows
    assert (native["payload"], native["payload_encoding"]) == (TEXT.decode(), "utf-8")
    assert (of_feed["payload"], of_feed["payload_encoding"]) == ("/w==", "base64")
    assert of_feed["feed"] == "zigbee"
    assert int(native["payload_bytes"]) == len(TEXT)
    assert partial["kafka_topic"] == DEAD_COMPACTED
    assert int(partial["kafka_offset"]) == 0


@pytest.mark.usefixtures("letters")
async def test_what_comes_is_followed_without_repeats_until_ctrl_c(url, bootstrap):
    process = await start(url, "dead", "-f", "-o", "json", "--limit", "2")
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(2)]
    for number in range(3):
        await write(bootstrap, DEAD_READINGS, [refused_message("not_json", payload=b"%d" % number)])
        lines.append(await process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"")
    found = json.loads(b"".join([*lines, rest]))
    reasons = [each["reason"] for each in found]
    assert reasons == ["not_a_number", "not_protobuf", *["not_json"] * 3]
    assert [each["payload"] for each in found[2:]] == ["0", "1", "2"]


async def test_more_than_an_answer_holds_is_said():
    def page(first):
        data = [
            {
                "at": "2026-11-27T10:00:00Z", "topic": "t", "reason": "not_json", "detail": "",
                "what_to_do": "", "payload": "", "payload_encoding": "utf-8", "payload_bytes": 0,
                "kept_at": {"topic": "d", "partition": 0, "offset": first + number},
            }
            for number in range(200)
        ]  # fmt: skip
        return answer(200, json.dumps({"data": data[::-1], "complete": False}).encode())

    async with scripted(page(0), page(1000)) as (_, url):
        code, output, errors = await run(url, "dead", "-f", "-o", "ndjson", "--limit", "1")
    assert code == 2  # the script ends
    assert len(output.splitlines()) == 201
    assert errors.splitlines()[0] == "more dead letters came than can be shown"
    assert errors.splitlines()[1].startswith(f"cannot query {url}/api/dead-letters?")


async def test_without_kafka_it_exits_with_2_and_says_what_to_do():
    problem = json.dumps({"detail": "Kafka, which holds the dead letters, does not answer"})
    busy = answer(503, problem.encode(), retry_after="0")
    async with scripted(*[busy] * 3) as (_, url):
        code, output, errors = await run(url, "dead")
    assert (code, output) == (2, "")
    assert errors == "Kafka, which holds the dead letters, does not answer\n"


async def test_a_wrong_reason_is_refused(url):
    code, _, errors = await run(url, "dead", "--reason", "Not JSON")
    assert code == 2
    assert errors.startswith("Invalid reason: must match")
