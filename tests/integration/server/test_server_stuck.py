"""A consumer that gets no answer begins anew, and a server that stands still says so."""

import asyncio
import logging
import os
import signal

from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_server.ingest import fetch_watch
from sensorpipe_server.ingest.consume import Ingest
from sensorpipe_server.storage.store import Store
from support.server_parts import one
from support.server_pipe import Pipe, expect
from support.services import running
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]


async def test_a_broker_that_no_longer_answers_ends_the_session(db, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "sensorpipe_server")
    port = free_port()
    pipe = Pipe(port)
    async with (
        running(embedded.kafka_broker(port, tmp_path)) as broker,
        pipe.ingesting(db),
    ):
        await pipe.send(one([(1, 1.0)], number=1))
        await expect(db, [1])
        monkeypatch.setattr(fetch_watch, "FAILED_AFTER", 2.0)  # joining takes longer
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            said = "no fetch from the partitions [0, 1, 2] was answered for 2 s"
            await eventually(lambda: any(said in getattr(r, "error", "") for r in caplog.records))
        finally:
            monkeypatch.undo()
            os.kill(broker.pid, signal.SIGCONT)
        await pipe.send(one([(2, 1.0)], number=2))
        await expect(db, [2])


async def test_a_write_that_never_ends_is_seen_by_the_probe_after_a_minute(tansu, db, monkeypatch):
    async def never(*_, **__):
        await asyncio.Event().wait()

    pipe = Pipe(tansu.port)
    ingest, stop, clock = Ingest(pipe.settings, db, pipe.route), asyncio.Event(), [0.0]
    ingest._membership.progress._clock = lambda: clock[0]
    monkeypatch.setattr(Store, "write", never)
    monkeypatch.setattr("sensorpipe_server.ingest.consume.STOP_SECONDS", 0.5)
    task = asyncio.create_task(ingest.run(stop))
    try:
        await eventually(lambda: ingest.is_assigned)
        assert ingest.is_moving()
        await pipe.send(one([(1, 1.0)]))
        await eventually(ingest._membership.is_behind)
        assert ingest.is_moving()
        clock[0] += 61
        assert not ingest.is_moving()
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)
