"""`sensorpipe-generator`: publishes the readings of one Sensor until SIGTERM."""

import asyncio
import logging
import secrets
import time
from functools import partial

from prometheus_client import REGISTRY
from sensorpipe_runtime.liveness import Heartbeat, Progress
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_runtime.service import configured, run_service, supervise, tune_garbage_collection

from sensorpipe_generator.metrics import GeneratorMetrics
from sensorpipe_generator.publishing import Publishing
from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.settings import Settings

log = logging.getLogger("sensorpipe_generator")


def main() -> None:
    """Run the generator; exit 0 after SIGTERM or SIGINT."""
    with configured("sensorpipe-generator", Settings.read) as settings:
        tune_garbage_collection()
        run_service(partial(run, settings))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Publish until SIGTERM or SIGINT, then wait for the broker's last acknowledgements."""
    spec, run_name = settings.sensor.spec, f"{settings.sensor.name}-{secrets.token_hex(6)}"
    publisher = Publisher(
        settings.mqtt, f"sensorpipe-generator-{run_name}", capacity=settings.buffer
    )
    share = settings.share.of(spec.count)
    schedule = Schedule.after(_now_ms(), spec.interval_ms, spec.count, share)
    publishing = Publishing(
        Readings(settings.sensor, run_name, share),
        schedule,
        publisher,
        give_up_after_ms=settings.give_up_after_ms,
        clock_ms=_now_ms,
    )
    REGISTRY.register(GeneratorMetrics(publishing.totals, publisher))
    heartbeat, progress = Heartbeat(), _progress(publisher, publishing)

    async def publish() -> None:
        await publishing.run(stop)
        await _drain(publisher, publishing, settings.drain_ms / 1000)
        await publisher.close()

    with MonitoringServer(
        *settings.http,
        healthy=lambda: heartbeat.is_beating() and progress.is_made(),
        ready=lambda: publisher.connected,
    ):
        _log_start(settings, run_name, schedule)
        await supervise(
            {"publishing": publish(), "mqtt": publisher.run()},
            {"heartbeat": heartbeat.run()},
            may_end=stop.is_set,
        )
    _log_end(publisher, publishing)


def _progress(publisher: Publisher, publishing: Publishing) -> Progress:
    """Return the progress of readings that are due or unacknowledged.

    It is made while readings are acknowledged, refused, given up or sent again.
    """
    return Progress(
        lambda: publisher.unacknowledged > 0 or publishing.is_behind(),
        position=lambda: (
            publisher.acknowledged,
            publisher.refused,
            publishing.totals.given_up,
            publisher.attempts,
        ),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _drain(publisher: Publisher, publishing: Publishing, seconds: float) -> None:
    """Wait up to `seconds` for acknowledgements; count readings without one as given up."""
    try:
        async with asyncio.timeout(seconds):
            await publisher.drained()
    except TimeoutError:
        left = publisher.unacknowledged
        publishing.totals.given_up += left
        log.warning("The broker did not acknowledge all readings in time", extra={"given_up": left})


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
    log.info("Generator started", extra=fields)


def _log_end(publisher: Publisher, publishing: Publishing) -> None:
    totals = publishing.totals
    fields = {
        "published": totals.published,
        "acknowledged": publisher.acknowledged,
        "refused": publisher.refused,
        "given_up": totals.given_up,
        "late": totals.late,
    }
    log.info("Generator stopped", extra=fields)


if __name__ == "__main__":
    main()
