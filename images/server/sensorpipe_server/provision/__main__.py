"""`python -m sensorpipe_server.provision`: beside a mongod, in its pod, until SIGTERM."""

import asyncio
import logging
import os
import signal

from sensorpipe_schema import logs
from sensorpipe_schema.heartbeat import Heartbeat
from sensorpipe_schema.observe import Observatory
from sensorpipe_schema.settings import naming_what_is_wrong

from sensorpipe_server.provision.provisioning import Provisioning
from sensorpipe_server.provision.settings import Settings

log = logging.getLogger("sensorpipe_server.provision")


def main() -> None:
    """Provision and watch; exit 0 after SIGTERM or SIGINT."""
    with naming_what_is_wrong("sensorpipe-provision"):
        settings = Settings.read(os.environ)
        logs.setup("sensorpipe-provision", settings.log_level)
        asyncio.run(run(settings))


async def run(settings: Settings) -> None:
    """Provision and watch until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    provisioning, heartbeat = Provisioning(settings), Heartbeat()
    with Observatory(
        *settings.http, healthy=heartbeat.is_beating, ready=lambda: provisioning.ready
    ):
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(heartbeat.run(), name="heartbeat"),
                tasks.create_task(provisioning.run(), name="provision"),
            ]
            await stop.wait()
            for task in working:
                task.cancel()
    log.info("stopped")


if __name__ == "__main__":
    main()
