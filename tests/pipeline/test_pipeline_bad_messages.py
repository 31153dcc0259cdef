"""Ninety kinds of bad messages: whoever looks learns of each, wherever they look.

One run of `sensorpipe up` on Mosquitto and Apache Kafka takes each of them twice.
"""

import asyncio
import base64
import csv
import io
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from sensorpipe_cli.errors import SET_ASIDE
from sensorpipe_cli.runner.ports import free_port
from sensorpipe_cli.views.formatting import by_reason
from sensorpipe_schema.dead_letters import what_to_do
from support import services
from support.bad_messages import BAD, FEEDS, Bad
from support.pipeline import ask, sensor
from support.pipeline_parts import mosquitto_pub
from support.services import running
from support.waiting import eventually, in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

EACH = 2
"""How often each is sent."""

WARNING = "A message is no reading; it is in the dead letters"


class Run:
    """What is known once `sensorpipe up` has refused everything, and has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.letters: dict[str, Any] = {}
        """The answer of the API."""
        self.shown: dict[str, str] = {}
        """What `sensorpipe dead` printed, by form."""
        self.output = ""
        """What `sensorpipe up` printed."""
        self.code: int | None = None

    def warnings(self) -> list[dict[str, Any]]:
        """Return the compactor's warnings of messages."""
        lines = (self.folder / "data/logs/compactor.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if WARNING in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    folder = tmp_path_factory.mktemp("bad")
    manifests = [*FEEDS, sensor("boiler", "facility_1", count=1, seed=1)]
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    broker, kafka = services.mosquitto(folder / "mosquitto"), services.kafka(folder / "kafka")
    async with running(broker), running(kafka):
        made, port = Run(folder), free_port()
        argv = [sys.executable, "-m", "sensorpipe_cli", "up", str(folder / "all.yaml"), "--no-tty"]
        argv += ["--data", str(folder / "data"), "--port", str(port)]
        argv += ["--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--kafka", f"127.0.0.1:{kafka.port}"]
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        following = asyncio.create_task(follow(made, process.stdout))
        try:
            url = f"http://127.0.0.1:{port}"
            await eventually(lambda: "published" in made.output, state=lambda: made.output)
            for _ in range(EACH):
                for bad in BAD:
                    await mosquitto_pub(broker, bad.topic, bad.payload)
            await all_refused(made, url)
            for form in ("table", "ndjson", "csv"):
                made.shown[form] = await dead(url, form)
        finally:
            process.send_signal(signal.SIGINT)
            made.code = await process.wait()
            await following
    yield made


async def follow(made: Run, stream: asyncio.StreamReader) -> None:
    async for line in stream:
        made.output += line.decode()


async def all_refused(made: Run, url: str) -> None:
    """Wait until all are refused, for `up` and the API; those ahead of time after 15 s."""
    total = f"refused {EACH * len(BAD)} ("

    def are_there() -> bool:
        made.letters = ask(f"{url}/api/dead-letters?limit=200")
        return len(made.letters["data"]) == EACH * len(BAD) and total in made.output

    await eventually(in_thread(are_there), state=lambda: made.output[-2000:], seconds=120)


async def dead(url: str, form: str) -> str:
    argv = ["-m", "sensorpipe_cli", "dead", "--url", url, "--limit", "200", "-o", form]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_there_are_ninety_kinds_and_each_has_a_topic_of_its_own() -> None:
    assert len({bad.kind for bad in BAD}) == len({bad.topic for bad in BAD}) == len(BAD) == 90


async def test_each_is_in_the_api_with_topic_reason_and_what_to_do(run: Run) -> None:
    assert run.letters["complete"]
    found: dict[str, list[dict[str, Any]]] = {}
    for letter in run.letters["data"]:
        found.setdefault(letter["topic"], []).append(letter)
    assert set(found) == {bad.topic for bad in BAD}
    for bad in BAD:
        for letter in found[bad.topic]:
            assert (letter["reason"], letter["feed"]) == (bad.reason, bad.feed), bad.kind
            assert letter["what_to_do"] == hint(bad)
            assert letter["detail"], bad.kind
            assert payload_of(letter) == bad.payload[: len(payload_of(letter))]
            assert len(payload_of(letter)) == min(len(bad.payload), 2048)
    assert {len(letters) for letters in found.values()} == {EACH}
    times = [letter["at"] for letter in run.letters["data"]]
    assert times == sorted(times, reverse=True)


def hint(bad: Bad) -> str:
    return what_to_do(bad.reason, of_feed=bad.feed is not None)


def payload_of(letter: dict[str, Any]) -> bytes:
    if letter["payload_encoding"] == "base64":
        return base64.b64decode(letter["payload"])
    return str(letter["payload"]).encode()


async def test_each_is_shown_by_the_command(run: Run) -> None:
    for rows in (
        [json.loads(line) for line in run.shown["ndjson"].splitlines()],
        list(csv.DictReader(io.StringIO(run.shown["csv"], newline=""))),
    ):
        assert Counter((row["topic"], row["reason"]) for row in rows) == Counter(
            {(bad.topic, bad.reason): EACH for bad in BAD}
        )
        hints = {bad.topic: hint(bad) for bad in BAD}
        assert all(row["what_to_do"] == hints[row["topic"]] for row in rows)
    head, *lines = run.shown["table"].splitlines()
    assert head.split() == ["time", "topic", "reason", "detail", "what_to_do"]
    assert len(lines) == EACH * len(BAD)
    for bad in BAD:
        of_topic = [line for line in lines if f"  {bad.topic}  " in line]
        assert len(of_topic) == EACH, bad.kind
        assert all(bad.reason in line for line in of_topic)
        assert all(line.endswith(hint(bad)) for line in of_topic)


async def test_the_compactor_warns_of_each_once_in_a_minute(run: Run) -> None:
    warnings = run.warnings()
    found = Counter((each["topic"], each["reason"], each["feed"]) for each in warnings)
    assert set(found) == {(bad.topic, bad.reason, bad.feed) for bad in BAD}
    times = [datetime.fromisoformat(each["time"]) for each in warnings]
    minutes = 1 + int((max(times) - min(times)).total_seconds() // 60)
    assert max(found.values()) <= minutes
    assert all(each["detail"] for each in warnings)


async def test_up_counts_them_by_reason_and_exits_with_3(run: Run) -> None:
    counts = {reason: EACH * n for reason, n in Counter(bad.reason for bad in BAD).items()}
    summary = run.output[run.output.rindex("refused messages") :].splitlines()[0]
    assert summary.split(maxsplit=2)[2] == by_reason(counts)
    assert run.code == SET_ASIDE
