"""`sensorpipe-compactor`: reduces readings to windows until SIGTERM."""

import asyncio
import logging
import sys
from functools import partial
from typing import Final

from prometheus_client import REGISTRY
from sensorpipe_runtime.aio import ended_or_stopped
from sensorpipe_runtime.kafka.compaction import LogCompactionError
from sensorpipe_runtime.liveness import Heartbeat
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.mqtt.errors import SessionTakenOverError
from sensorpipe_runtime.service import (
    TaskEndedError,
    configured,
    run_service,
    supervise,
    tune_garbage_collection,
)

from sensorpipe_compactor.broker_drops import BrokerDrops
from sensorpipe_compactor.compactor import Compactor
from sensorpipe_compactor.epoch.claim import FencedError
from sensorpipe_compactor.epoch.subscriptions import Subscriptions
from sensorpipe_compactor.metrics import CompactorMetrics
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.sending import UncertainAppendError
from sensorpipe_compactor.output.topic_producer import LogReplacedError
from sensorpipe_compactor.settings import Settings

_LAST_FLUSH_SECONDS: Final = 20.0
"""Seconds for which a stopping compactor waits for Kafka; the broker keeps what is left then."""

log = logging.getLogger("sensorpipe_compactor")


def main() -> None:
    """Run the compactor; exit 0 after SIGTERM or SIGINT, 1 if it cannot go on."""
    with configured("sensorpipe-compactor", Settings.read) as settings:
        tune_garbage_collection()
        sys.exit(run_service(partial(run, settings)))


async def run(settings: Settings, stop: asyncio.Event) -> int:
    """Compact until told to stop; return the exit code."""
    subscriptions = Subscriptions(settings.topic_filters, is_taking_over=settings.taking_over)
    journal = Journal(settings.kafka, settings.name, subscriptions, settings.compression)
    compactor = Compactor(settings, journal)
    heartbeat = Heartbeat()
    dropped = BrokerDrops(settings.mqtt, settings.client_id)
    REGISTRY.register(CompactorMetrics(compactor, dropped))
    with MonitoringServer(
        *settings.http,
        healthy=lambda: heartbeat.is_beating() and compactor.progress.is_made(),
        ready=compactor.readiness,
        documents={"/feeds": compactor.report_feeds},
    ):
        background = {"heartbeat": heartbeat.run(), "dropped": dropped.run()}
        working = asyncio.create_task(
            supervise({"work": work(compactor, stop)}, background, may_end=stop.is_set),
            name="supervise",
        )
        await ended_or_stopped(working, stop)
        return await finish(compactor, working)


async def work(compactor: Compactor, stop: asyncio.Event) -> None:
    """Begin a run, then receive and flush."""
    await compactor.begin()
    tasks = {"mqtt": compactor.subscriber.run(), "flush": compactor.run()}
    background = {"feeds": compactor.watch_feeds()} if compactor.watcher is not None else {}
    await supervise(tasks, background, may_end=stop.is_set)


async def finish(compactor: Compactor, working: asyncio.Task[None]) -> int:
    """Let the last flush come to its end, and return the exit code."""
    compactor.stop()
    await asyncio.wait([working], timeout=_LAST_FLUSH_SECONDS if compactor.journal.run else 0)
    if not working.done():
        log.warning("Kafka is unavailable; the broker keeps what was not flushed")
        working.cancel()
    await asyncio.wait([working])
    await compactor.journal.close()
    log.info("Stopped", extra={"readings": compactor.readings, "partials": compactor.partials})
    return verdict(working)


def verdict(working: asyncio.Task[None]) -> int:
    """Return the exit code for finished work: 0 or 1; raise an error that is not expected."""
    error = None if working.cancelled() else working.exception()
    match error:
        case None:
            return 0
        case FencedError() | SessionTakenOverError():
            log.error("Another compactor took over", extra={"error": repr(error)})
        case LogReplacedError():
            log.error("Kafka's log was replaced; ending", extra={"error": str(error)})
        case UncertainAppendError():
            log.error("A partial may be durable already; ending", extra={"error": str(error)})
        case LogCompactionError():
            log.error("Kafka compacts the topic; ending", extra={"error": str(error)})
        case TaskEndedError():
            log.error("A task ended unasked; ending", extra={"error": str(error)})
        case _:
            raise error
    return 1


if __name__ == "__main__":
    main()
