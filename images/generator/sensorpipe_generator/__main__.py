"""`sensorpipe-generator`: publishes the readings of one Sensor until SIGTERM."""

import asyncio
import logging
import os
import secrets
import signal
import time

import uvloop
from prometheus_client import REGISTRY
from sensorpipe_schema import logs, memory
from sensorpipe_schema.heartbeat import Heartbeat
from sensorpipe_schema.mqtt.publisher import Publisher
from sensorpipe_schema.observe import Observatory
from sensorpipe_schema.settings import naming_what_is_wrong

from sensorpipe_generator.metrics import GeneratorMetrics
from sensorpipe_generator.publishing import Publishing
from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.settings import Settings

log = logging.getLogger("sensorpipe_generator")


def main() -> None:
    """Run the generator; exit 0 after SIGTERM or SIGINT."""
    with naming_what_is_wrong("sensorpipe-generator"):
        settings = Settings.read(os.environ)
        logs.setup("sensorpipe-generator", settings.log_level)
        memory.settle()
        uvloop.run(run(settings))


async def run(settings: Settings) -> None:
    """Publish until told to stop, then wait for what the broker has not yet acknowledged."""
    spec, run_name = settings.sensor.spec, f"{settings.sensor.name}-{secrets.token_hex(6)}"
    stopped = _stop_signal()
    publisher = Publisher(
        settings.mqtt, f"sensorpipe-generator-{run_name}", capacity=settings.buffer
    )
    share = settings.share.of(spec.count)
    schedule = Schedule.after(_now_ms(), spec.interval_ms, spec.count, share)
    publishing = Publishing(
        Readings(settings.sensor, run_name, share),
        schedule,
        publisher,
        patience_ms=settings.give_up_after_ms,
        clock_ms=_now_ms,
    )
    REGISTRY.register(GeneratorMetrics(publishing.totals, publisher))
    heartbeat = Heartbeat()
    with Observatory(
        *settings.http, healthy=heartbeat.is_beating, ready=lambda: publisher.connected
    ):
        _log_start(settings, run_name, schedule)
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(heartbeat.run(), name="heartbeat")
            link = tasks.create_task(publisher.run(), name="mqtt")
            loop = tasks.create_task(publishing.run(), name="publishing")
            await stopped.wait()
            loop.cancel()
            await _drain(publisher, publishing, settings.drain_ms / 1000)
            await publisher.close()
            link.cancel()
            beating.cancel()
    _log_end(publisher, publishing)


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _drain(publisher: Publisher, publishing: Publishing, seconds: float) -> None:
    """Wait for the last acknowledgements; count as given up what has none by then."""
    try:
        async with asyncio.timeout(seconds):
            await publisher.drained()
    except TimeoutError:
        left = publisher.unacknowledged
        publishing.totals.given_up += left
        log.warning("the broker did not acknowledge all in time", extra={"given_up": left})


def _log_start(settings: Settings, src: str, schedule: Schedule) -> None:
    spec = settings.sensor.spec
    fields = {
        "sensor": settings.sensor.name,
        "facility": spec.facility,
        "measurements": [measurement.name for measurement in spec.measurements],
        "devices": schedule.count,
        "first_device": schedule.devices.start,
        "interval_ms": spec.interval_ms,
        "first_reading_ms": schedule.start_ms,
        "src": src,
        "broker": str(settings.mqtt),
        "buffer": settings.buffer,
    }
    log.info("generator started", extra=fields)


def _log_end(publisher: Publisher, publishing: Publishing) -> None:
    totals = publishing.totals
    fields = {
        "published": totals.published,
        "acknowledged": publisher.acknowledged,
        "refused": publisher.refused,
        "given_up": totals.given_up,
        "late": totals.late,
    }
    log.info("generator stopped", extra=fields)


if __name__ == "__main__":
    main()
