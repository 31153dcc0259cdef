"""`sensorpipe-compactor`: reduces readings to windows until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys
from typing import Final

import uvloop
from prometheus_client import REGISTRY
from sensorpipe_runtime.service import TaskEndedError, supervise
from sensorpipe_schema import logs, memory
from sensorpipe_schema.heartbeat import Heartbeat
from sensorpipe_schema.mqtt.errors import SessionTakenOverError
from sensorpipe_schema.observe import Observatory
from sensorpipe_schema.settings import naming_what_is_wrong

from sensorpipe_compactor.compactor import Compactor
from sensorpipe_compactor.dropped import Dropped
from sensorpipe_compactor.journal import FencedError, Journal, LogReplacedError
from sensorpipe_compactor.metrics import CompactorMetrics
from sensorpipe_compactor.settings import Settings

_LAST_FLUSH_SECONDS: Final = 20.0
"""For which a stopping compactor waits for Kafka; what is left then, the broker keeps."""

log = logging.getLogger("sensorpipe_compactor")


def main() -> None:
    """Run the compactor; exit 0 after SIGTERM or SIGINT, 1 if it cannot go on."""
    with naming_what_is_wrong("sensorpipe-compactor"):
        settings = Settings.read(os.environ)
        logs.setup("sensorpipe-compactor", settings.log_level)
        memory.settle()
        sys.exit(uvloop.run(run(settings)))


async def run(settings: Settings) -> int:
    """Compact until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    journal = Journal(settings.kafka, settings.name, [settings.topic_filter])
    compactor = Compactor(settings, journal)
    heartbeat = Heartbeat()
    dropped = Dropped(settings.mqtt, settings.client_id)
    REGISTRY.register(CompactorMetrics(compactor, dropped))
    with Observatory(
        *settings.http,
        healthy=lambda: heartbeat.is_beating() and compactor.progress.is_made(),
        ready=lambda: compactor.subscriber.ready,
    ):
        background = {"heartbeat": heartbeat.run(), "dropped": dropped.run()}
        working = asyncio.create_task(
            supervise({"work": work(compactor, stop)}, background, may_end=stop.is_set),
            name="supervise",
        )
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return await finish(compactor, working)


async def work(compactor: Compactor, stop: asyncio.Event) -> None:
    """Restore what is durable already, then receive and flush."""
    await compactor.begin()
    tasks = {"mqtt": compactor.subscriber.run(), "flush": compactor.run()}
    await supervise(tasks, may_end=stop.is_set)


async def finish(compactor: Compactor, working: asyncio.Task[None]) -> int:
    """Let the last flush come to its end, and return the exit code."""
    compactor.stop()
    await asyncio.wait([working], timeout=_LAST_FLUSH_SECONDS if compactor.journal.epoch else 0)
    if not working.done():
        log.warning("Kafka is away; the broker keeps what was not flushed")
        working.cancel()
    await asyncio.wait([working])
    await compactor.journal.close()
    log.info("Stopped", extra={"readings": compactor.readings, "partials": compactor.partials})
    return verdict(working)


def verdict(working: asyncio.Task[None]) -> int:
    """Return the exit code of work that has ended; raise what nobody expected."""
    error = None if working.cancelled() else working.exception()
    match error:
        case None:
            return 0
        case FencedError() | SessionTakenOverError():
            log.error("Another compactor took over", extra={"error": repr(error)})
        case LogReplacedError():
            log.error("Kafka's log was replaced; ending", extra={"error": str(error)})
        case TaskEndedError():
            log.error("A task ended unasked; ending", extra={"error": str(error)})
        case _:
            raise error
    return 1


if __name__ == "__main__":
    main()
