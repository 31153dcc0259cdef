"""`python -m sensorpipe_server.provision`: beside a mongod, in its pod, until SIGTERM."""

import asyncio
import logging
from functools import partial

from sensorpipe_runtime.liveness import Heartbeat
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.service import configured, run_service, supervise

from sensorpipe_server.provision.provisioning import Provisioning
from sensorpipe_server.provision.settings import Settings

log = logging.getLogger("sensorpipe_server.provision")


def main() -> None:
    """Provision and watch; exit 0 after SIGTERM or SIGINT."""
    with configured("sensorpipe-provision", Settings.read) as settings:
        run_service(partial(run, settings))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Provision and watch until told to stop."""
    provisioning, heartbeat = Provisioning(settings), Heartbeat()
    with MonitoringServer(
        *settings.http, healthy=heartbeat.is_beating, ready=lambda: provisioning.ready
    ):
        await supervise(
            {"stop": stop.wait()},
            {"heartbeat": heartbeat.run(), "provision": provisioning.run()},
            may_end=stop.is_set,
        )
    log.info("stopped")


if __name__ == "__main__":
    main()
