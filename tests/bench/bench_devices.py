"""Messages that real devices send, and the Feeds that take them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sensorpipe_schema.feed.manifest import Feed
from support.feeds import SHIPPED, feed, shipped

DEVICES = 100
"""Each kind of message comes from so many devices in turn."""

A_SECOND = 9000
"""Messages of all devices in a second of their own time."""

Payload = Callable[[int, int], bytes]
"""Makes the payload of a device's message from its number and its Unix time in milliseconds."""


class Kind(NamedTuple):
    """Messages of one format, and the Feed that they are measured with."""

    feed: Feed
    topic: str
    """The topic of a device; `{}` stands for its number."""
    payload: Payload

    @property
    def topics(self) -> list[str]:
        """The topics of all devices."""
        return [self.topic.format(number) for number in range(DEVICES)]

    def messages(self, count: int, start_ms: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index of topic, payload), in order of time from `start_ms` on."""
        for number in range(count):
            yield number % DEVICES, self.payload(number, start_ms + number * 1000 // A_SECOND)


def _at(ts: int) -> str:
    return datetime.fromtimestamp(ts // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _zigbee(number: int, ts: int) -> bytes:
    """Return what Zigbee2MQTT sends for a climate sensor, 136 bytes."""
    return (
        f'{{"battery":{50 + number % 50},"humidity":{40 + number % 100 / 10:.1f},'
        f'"last_seen":"{_at(ts)}.{ts % 1000:03d}Z","linkquality":{10 + number % 90},'
        f'"pressure":{1000 + number % 30},"temperature":{20 + number % 97 / 10:.1f},'
        '"voltage":3015}'
    ).encode()


def _chirpstack(number: int, ts: int) -> bytes:
    """Return what ChirpStack 4 sends for a device that its codec knows, 509 bytes."""
    device, count = number % DEVICES, 10_000 + number // DEVICES
    return (
        f'{{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-{number:012x}",'
        f'"time":"{_at(ts)}.{ts % 1000:03d}023242+00:00",'
        f'"deviceInfo":{{"tenantName":"ChirpStack","applicationName":"Fields",'
        f'"deviceProfileName":"Soil probe","deviceName":"probe-{device:03d}",'
        f'"devEui":"01010101{device:08x}","tags":{{}}}},"devAddr":"0018{device:04x}","adr":true,'
        f'"dr":3,"fCnt":{count},"fPort":2,"confirmed":false,"data":"qg8A",'
        f'"object":{{"battery":3.6,"moisture":{40 + number % 100 / 10:.1f},'
        f'"temperature":{20 + number % 97 / 10:.1f}}},"rxInfo":[{{"gatewayId":"0016c001f153a14c",'
        f'"uplinkId":4217106255,"rssi":-36,"snr":10.5}}]}}'
    ).encode()


def _number(number: int, _: int) -> bytes:
    return f"{20 + number % 97 / 10:.1f}".encode()


def _influx(number: int, ts: int) -> bytes:
    value = 20 + number % 97 / 10
    return f"weather,location=us-midwest temperature={value:.1f},humidity=48i {ts}000000".encode()


def _named(below: str, *sensors: str) -> list[dict[str, str]]:
    return [{"sensor": sensor, "at": f"{below}/{sensor}"} for sensor in sensors]


_SEEN: dict[str, Any] = {"time": {"at": "/last_seen"}, "identity": "time"}
_ZIGBEE: dict[str, Any] = {
    "topic": "zigbee2mqtt/{device}",
    "readings": _named("", "temperature", "humidity", "pressure", "battery"),
}
_LORA: dict[str, Any] = {
    "topic": "application/+/device/{device}/event/up",
    "time": {"at": "/time", "format": "rfc3339"},
    "readings": _named("/object", "temperature", "moisture", "battery"),
}
_COUNTED = {"src": ["/deviceInfo/devEui", "/devAddr"], "seq": "/fCnt"}
_LINES: dict[str, Any] = {
    "topic": "influx/{device}",
    "payload": "influx",
    "time": {"at": "/timestamp", "format": "ns"},
    "readings": _named("/fields", "temperature", "humidity"),
}
_APPLICATION = "application/17c82e96-be03-4f38-aef3-f83d48582d97/device/{:016x}/event/up"

ZIGBEE = Kind(feed(**_ZIGBEE), "zigbee2mqtt/probe_{}", _zigbee)
ZIGBEE_TIME = ZIGBEE._replace(feed=feed(**_ZIGBEE, **_SEEN))
ZIGBEE_SHIPPED = ZIGBEE._replace(feed=shipped("zigbee2mqtt"))
LORA = Kind(feed(**_LORA), _APPLICATION, _chirpstack)
LORA_COUNTED = LORA._replace(feed=feed(**_LORA, identity=_COUNTED))
LORA_SHIPPED = LORA._replace(feed=shipped("chirpstack"))
NUMBER = Kind(shipped("bare-number"), "sensors/probe_{}", _number)
LINE = Kind(feed(**_LINES), "influx/probe_{}", _influx)
LINE_SHIPPED = LINE._replace(feed=shipped("influx-lines"))


def write_shipped(folder: Path) -> Path:
    """Write the shipped Feeds into a new folder, so that they fit beside each other."""
    folder.mkdir()
    for file in SHIPPED.glob("*.yaml"):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        topic = document["spec"]["topic"]
        if topic.startswith("{"):  # it says itself that it needs a prefix then
            document["spec"]["topic"] = f"{file.stem}/{topic}"
        (folder / file.name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def write_feed(folder: Path, one: Feed) -> Path:
    """Write one Feed into a new folder."""
    folder.mkdir()
    (folder / "feed.yaml").write_text(yaml.safe_dump(one.to_manifest()), encoding="utf-8")
    return folder
