"""What the log holds of a Kafka that is away for more than a minute and comes back."""

import json
from pathlib import Path
from typing import Any

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from support import services
from support.pipeline import ask_status, monitoring_url, own_monitoring
from support.server_process import server_child
from support.services import running
from support.waiting import eventually, in_thread

END = "The library has stopped logging warnings"


def of_library(child: Child) -> list[dict[str, Any]]:
    """Return the lines that come of Kafka's client."""
    lines = [json.loads(line) for line in child.log.read_text().splitlines()]
    return [line for line in lines if line["logger"].startswith("aiokafka")]


@pytest.mark.promise
async def test_one_line_at_the_beginning_one_a_minute_and_one_at_the_end(tmp_path: Path):
    kafka = services.kafka(tmp_path / "kafka")
    mongod = embedded.mongod(free_port(), tmp_path)
    server = server_child(tmp_path, kafka, mongod, "sensorpipe", own_monitoring())
    async with running(mongod), running(server):
        async with running(kafka):
            url = f"{monitoring_url(server)}/readyz"
            await eventually(in_thread(lambda: ask_status(url) == 200), state=server.tail)
        before = len(of_library(server))
        await eventually(
            in_thread(lambda: any("hidden" in line for line in of_library(server)[before:])),
            state=server.tail,
        )
        async with running(kafka):
            await eventually(in_thread(lambda: ask_status(url) == 200), state=server.tail)
            await eventually(
                in_thread(
                    lambda: any(line["message"] == END for line in of_library(server)[before:])
                ),
                state=server.tail,
            )
    lines = of_library(server)[before:]
    end = next(number for number, line in enumerate(lines) if line["message"] == END)
    assert lines[end]["hidden"] >= 50  # each was a line of its own
    # the first, perhaps a worse one, a minute's each, the end's
    assert end <= 2 + lines[end]["seconds"] / 60, lines
