"""`sensorpipe-server`: settings, clients, tasks, shutdown."""

import asyncio
import logging
import os
import signal
import socket

import uvloop
from prometheus_client import REGISTRY
from sensorpipe_runtime.service import supervise
from sensorpipe_schema import logs, memory
from sensorpipe_schema.settings import naming_what_is_wrong

from sensorpipe_server import database, http, metrics, mongodb_watch
from sensorpipe_server.api.routes import application
from sensorpipe_server.audit import Audit
from sensorpipe_server.consume import Ingest
from sensorpipe_server.settings import Settings

log = logging.getLogger("sensorpipe_server")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with naming_what_is_wrong("sensorpipe-server"):
        settings = Settings.read(os.environ)
        listener = http.listen(*settings.http)
        logs.setup("sensorpipe-server", settings.log_level)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        memory.settle()
        uvloop.run(serve(settings, listener))


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Consume and answer; when told to stop, first finish the batch in hand."""
    stop, consumed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with database.connect(settings.mongodb_uri) as client:
        db = database.database(client)
        ingest = Ingest(settings.kafka, db)
        audit = Audit(db, lambda: ingest.leads)
        REGISTRY.register(metrics.AuditMetrics(lambda: audit.findings))
        metrics.watch_kafka(lambda: ingest.assigned)

        async def consume() -> None:
            try:
                await ingest.run(stop)
            finally:
                consumed.set()

        app = application(
            db,
            page_limit=settings.page_limit,
            consuming=lambda: not consumed.is_set(),
            assigned=lambda: ingest.assigned,
        )
        log.info("serving", extra={"http": "{}:{}".format(*settings.http)})
        await supervise(
            {"consume": consume(), "http": http.serve(app, listener, consumed)},
            {
                "audit": audit.run(),
                "watch MongoDB": mongodb_watch.watch(db, settings.mongodb_uri),
            },
            may_end=stop.is_set,
        )
    log.info("stopped")


if __name__ == "__main__":
    main()
