"""`python -m sensorpipe_server.provision`: beside a mongod, in its pod, until SIGTERM."""

import asyncio
import logging
import os

from sensorpipe_runtime import logs
from sensorpipe_runtime.aio import stop_on_signals
from sensorpipe_runtime.liveness import Heartbeat
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.service import supervise
from sensorpipe_runtime.settings import exit_on_settings_error

from sensorpipe_server.provision.provisioning import Provisioning
from sensorpipe_server.provision.settings import Settings

log = logging.getLogger("sensorpipe_server.provision")


def main() -> None:
    """Provision and watch; exit 0 after SIGTERM or SIGINT."""
    with exit_on_settings_error("sensorpipe-provision"):
        settings = Settings.read(os.environ)
        logs.setup("sensorpipe-provision", settings.log_level)
        asyncio.run(run(settings))


async def run(settings: Settings) -> None:
    """Provision and watch until told to stop."""
    stop = asyncio.Event()
    stop_on_signals(stop)
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
