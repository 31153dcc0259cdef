"""Messages of the campaign's devices give just the readings that its ledger expects."""

import json
import random

import pytest
from campaign_devices import Devices
from sensorpipe_schema.feed.decoder import FeedDecoder
from sensorpipe_schema.feed.manifest import Feed

NOW = 1_800_000_000_000


@pytest.mark.parametrize("identity", ["time", "counter", "none"])
@pytest.mark.parametrize("version", [1, 3])
def test_a_feed_makes_the_readings_of_the_ledger(identity: str, version: int) -> None:
    devices = Devices("some", identity, "run", version, sensors=version)
    decoder = FeedDecoder(Feed.parse(json.loads(devices.manifest())))
    chance, told = random.Random(1), set()
    for _ in range(200):
        message = devices.message(chance, NOW)
        (found,) = decoder.decode(message.topic, message.body.encode(), NOW)
        made = [(found.facility, sensor, found.ts, value) for sensor, value in found.values]
        assert made == [(one.facility, one.sensor, one.ts, one.value) for one in message.readings]
        assert len(made) == version
        told.add((found.src, found.seq, found.facility if found.src is None else ""))
    assert len(told) == (3 if identity == "none" else 200)


def test_devices_send_no_sensor_before_the_feed_that_takes_it_is_in_use() -> None:
    devices = Devices("some", "time", "run", sensors=1)
    devices.version = 2
    assert len(json.loads(devices.manifest())["spec"]["readings"]) == 2
    assert len(devices.message(random.Random(1), NOW).readings) == 1
