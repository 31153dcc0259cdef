"""The running server answers what its OpenAPI document says, to valid and to invalid requests."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, DEAD_READINGS
from sensorpipe_schema.partial import encode
from sensorpipe_server.access.rules import SCOPES
from support.dead_letters import refused_message, refused_partial, write
from support.server_parts import partial, summary
from support.server_process import Server, answered
from support.services import ROOT, running
from support.tokens import AUDIENCE, SECRET, access_file, grant, secret_token
from support.waiting import eventually

SUPPORT = ROOT / "tests/support"

SECONDS = 180
"""Longest time for all requests, which take some 10 s if the machine is free."""


@pytest.fixture(params=["open", "restricted"])
def token(request, tmp_path):
    """The token of a server whose access is restricted; None for one that is open."""
    if request.param == "open":
        return None
    (tmp_path / "secret").write_text(SECRET)
    issuer = {"issuer": "sensorpipe", "audiences": [AUDIENCE], "secretFile": "secret"}
    access_file(tmp_path, grant(SCOPES, ["*"], subject="*"), issuers=[issuer])
    return secret_token(exp=time.time() + 3600, iat=None)


@pytest.fixture
async def server(tmp_path, token):
    """The program, with windows of the facilities and sensors in the document's examples."""
    made = Server(tmp_path, live=True)
    path = "" if token is None else str(tmp_path / "access.yaml")
    child = made.child(SENSORPIPE_AUTH_FILE=path)
    async with running(made.kafka), running(made.mongod), running(child):
        await made.ready()
        async with AIOKafkaProducer(bootstrap_servers=made.bootstrap, acks="all") as producer:
            for facility in ("hall_1", "hall_2"):
                for message in windows(facility):
                    await producer.send_and_wait(COMPACTED, message, key=facility.encode())
        await ensure_topics(
            KafkaSettings.read(Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": made.bootstrap})),
            DEAD_READINGS,
        )
        refused = [refused_message("not_json", feed="zigbee"), refused_message("bad_val")]
        await write(made.bootstrap, DEAD_READINGS, refused)
        await write(made.bootstrap, DEAD_COMPACTED, [refused_partial("not_protobuf", b"\xff")])
        async with made.client() as client:
            client.headers.update(authorization(token))
            path = "/api/integrity"
            await eventually(
                lambda: answered(client, path, lambda a: a.json()["totals"]["count"] == 2 * 2 * 60)
            )
            letters = "/api/dead-letters"
            await eventually(
                lambda: answered(client, letters, lambda a: len(a.json()["data"]) == 3)
            )
        yield made


def windows(facility):
    """Yield the messages of 30 windows of two sensors with two readings each."""
    for number in range(30):
        seqs = [(2 * number + 1, 20.0), (2 * number + 2, 20.5 + number)]
        sensors = {name: summary(seqs, f"run-{name}") for name in ("temperature", "humidity")}
        yield encode(partial(sensors, facility=facility, window=number, number=number + 1))


# Of a restricted server it is new that each operation refuses requests without the token, and with
# another one: schemathesis' check `ignored_auth` repeats each request twice, so there are fewer.


def authorization(token: str | None) -> dict[str, str]:
    """Return the headers with a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


async def schemathesis(folder: Path, url: str, token: str | None) -> tuple[int, str]:
    """Return exit code and output of a run over all operations; its report is report.json."""
    argv = [
        *("-m", "schemathesis.cli", "--config-file", str(SUPPORT / "schemathesis.toml")),
        *("run", "openapi.json", "--url", url, "--report-json-path", "report.json"),
        *(f"--header={name}: {value}" for name, value in authorization(token).items()),
        *([] if token is None else ["--phases=fuzzing", "--max-examples=10"]),
    ]
    ours = {"PYTHONPATH": str(ROOT / "tests")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        cwd=folder,
        env={**os.environ, **ours},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode()


async def test_it_answers_as_its_document_says(server, tmp_path, token):
    async with server.client() as client:
        document = (await client.get("/openapi.json")).content
    (tmp_path / "openapi.json").write_bytes(document)
    failed, output = await schemathesis(tmp_path, server.url, token)
    assert not failed, output
    report = json.loads((tmp_path / "report.json").read_bytes())
    operations = len(json.loads(document)["paths"])
    assert report["operations"]["tested"] == operations
    assert report["phases"]["fuzzing"]["status"] == "success"
    assert report["test_cases"]["generated"] > (200 if token is None else 50)
