"""`sensorpipe-server`: settings, clients, tasks, shutdown."""

import asyncio
import logging
import socket
import sys
from functools import partial

from prometheus_client import REGISTRY
from sensorpipe_runtime.aio import cancel_on
from sensorpipe_runtime.kafka.compaction import LogCompactionError
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.service import configured, run_service, supervise, tune_garbage_collection

from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.caching import CacheRules
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounter
from sensorpipe_server.api.dead_letters.tail import DeadLetterTail
from sensorpipe_server.api.http import server
from sensorpipe_server.api.probes import Probes
from sensorpipe_server.api.process import ApiProcess, Application
from sensorpipe_server.api.routes import application
from sensorpipe_server.audit.audit import Audit
from sensorpipe_server.audit.metrics import AuditMetrics
from sensorpipe_server.ingest.consume import Ingest
from sensorpipe_server.ingest.metrics import watch_kafka
from sensorpipe_server.settings import Settings
from sensorpipe_server.storage.mongodb import database, old_format, watch
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.edge import Edge
from sensorpipe_server.storage.rollups.rolling import MARGIN_MS, Rolling
from sensorpipe_server.storage.source_seqs import Settling

log = logging.getLogger("sensorpipe_server")


def main() -> None:
    """Run until SIGTERM or SIGINT; exit 1 if Kafka compacts the topic that is read."""
    with configured("sensorpipe-server", Settings.read) as settings:
        listener = server.listen(*settings.http)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        tune_garbage_collection()
        try:
            with _api(settings, listener) as api:
                run_service(partial(serve, settings, api))
        except LogCompactionError as error:
            log.error(  # noqa: TRY400  the text says all
                "Kafka compacts the topic; ending", extra={"error": str(error)}
            )
            sys.exit(1)


def _api(settings: Settings, listener: socket.socket) -> ApiProcess:
    """Return the process of the API, which is not started yet."""
    access = None if settings.auth_file is None else Access(settings.auth_file)
    work = {} if access is None else {"access": access.run}
    return ApiProcess(settings.mongodb_uri, listener, _application(settings, access), work)


def _application(settings: Settings, access: Access | None) -> Application:
    """Return a function that makes the web application for a database."""
    return partial(
        application,
        page_limit=settings.page_limit,
        settling=Settling(settings.lateness_ms),
        cache_rules=CacheRules(settings.lateness_ms, settings.retention.windows),
        cors_origins=settings.cors_origins,
        access=access,
        set_aside=DeadLetterCounter(settings.kafka).counts,
        dead_letters=DeadLetterTail(settings.kafka),
    )


async def serve(settings: Settings, api: ApiProcess, stop: asyncio.Event) -> None:
    """Consume beside the API; when told to stop, first finish the batch in hand."""
    consumed = asyncio.Event()
    uri = settings.mongodb_uri
    async with database.connect(uri) as client, database.connect(uri, maxPoolSize=4) as own:
        watched = database.database(own)
        edge = Edge(MARGIN_MS + settings.lateness_ms)
        ingest = Ingest(settings.kafka, database.database(client), edge=edge)
        audit = Audit(watched, lambda: ingest.leads, Settling(settings.lateness_ms))
        REGISTRY.register(api)
        rolling = Rolling(
            watched,
            lambda: ingest.leads,
            settings.lateness_ms,
            pace=Pace(busy=ingest.is_catching_up, behind=edge.is_long),
            keep=settings.retention.of,
            edge=edge,
        )
        REGISTRY.register(AuditMetrics(lambda: audit.findings))
        watch_kafka(lambda: ingest.is_assigned)

        async def consume() -> None:
            try:
                await cancel_on(stop, old_format.refuse(watched))
                await ingest.run(stop)
            finally:
                consumed.set()

        def consuming() -> bool:
            return not consumed.is_set() and ingest.is_moving()

        probes = Probes(
            watched,
            is_consuming=consuming,
            is_assigned=lambda: ingest.is_assigned,
            is_answering=api.heartbeat.is_beating,
        )
        log.info("serving", extra={"http": "{}:{}".format(*settings.http)})
        with MonitoringServer(
            *settings.monitoring,
            healthy=probes.healthy,
            ready=probes.ready,
            setting="SENSORPIPE_MONITORING",
        ):
            await supervise(
                {"consume": consume(), "API": api.run(consumed)},
                {
                    "audit": audit.run(),
                    "heartbeat": probes.heartbeat.run(),
                    "probes": probes.ask(),
                    "rollups": rolling.run(),
                    "watch MongoDB": watch.watch(watched, uri),
                },
                may_end=stop.is_set,
            )
    log.info("stopped")


if __name__ == "__main__":
    main()
