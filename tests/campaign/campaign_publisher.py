"""Devices of the campaign: publish with paho, and note what the broker acknowledges."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from itertools import product
from typing import Any, Final

import paho.mqtt.client as paho
from campaign_devices import Devices
from campaign_ledger import Ledger, Message, Reading
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

FACILITIES: Final = 3
"""Facilities whose devices send a generator's messages, unless told otherwise."""

SENSORS: Final = ("temperature", "pressure")

_TICK: Final = 0.02
_FOREIGN_SHARE: Final = 0.4
_LATE_SHARE: Final = 0.03
_LATEST_MS: Final = 30_000


class Publisher:
    """One client that publishes for all devices, from a thread, until told to stop.

    paho keeps what is not acknowledged, and sends it again after a reconnect.
    """

    def __init__(self, port: int, seed: int, rate: int, facilities: int = FACILITIES) -> None:
        self.ledger = Ledger()
        self.series = list(product(names(facilities), SENSORS))
        """Facility and sensor of each generator's device."""
        self._rate = rate
        self._chance = random.Random(seed)
        self._chance_again = random.Random(seed)
        self.run = f"{seed:x}-{time.time_ns():x}"
        self.devices: list[Devices] = []
        """Those that send messages of their own, of which Feeds make readings."""
        self._choosing = threading.Lock()
        self._seq: Counter[tuple[str, str]] = Counter()
        self._acknowledged: list[Message] = []
        """What may be sent again, since its readings have an identity."""
        self._under_way: dict[int, Message | None] = {}
        """What waits for its acknowledgement; None for what the ledger is not to have."""
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish_all, name="publisher", daemon=True)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"campaign-{self.run}", protocol=paho.MQTTv5
        )
        self._client.max_inflight_messages_set(100)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish
        self._client.connect_async("127.0.0.1", port, keepalive=5, clean_start=False)

    def start(self) -> None:
        """Connect and publish."""
        self._client.loop_start()
        self._thread.start()

    def finish(self, seconds: float) -> int:
        """Publish nothing more; return how many readings are unacknowledged after `seconds`."""
        self._stop.set()
        self._thread.join()
        end = time.monotonic() + seconds
        while self._waiting() and time.monotonic() < end:
            self._stop.wait(0.1)
            time.sleep(0.05)  # a poll of another library's thread
        self._client.disconnect()
        self._client.loop_stop()
        return self._waiting()

    def resend(self, count: int, until_ms: int) -> None:
        """Send some messages that were acknowledged before, with a `ts` below `until_ms`, again.

        As a device does that has not kept what the broker said. The ledger has them already.
        """
        with self._lock:
            known = [message for message in self._acknowledged if _ts(message) < until_ms]
        for message in self._chance_again.sample(known, min(count, len(known))):
            self._send(message, counts=False)

    def join(self, *devices: Devices) -> None:
        """Have some devices publish from now on."""
        for each in devices:
            if each.identity == "none":
                self.ledger.repeatable.update(each.facilities)
        self.devices += devices

    def leave(self, devices: Devices) -> None:
        """Have some devices publish nothing more."""
        with self._choosing:
            self.devices.remove(devices)

    def send_unclaimed(self, devices: Devices, count: int) -> None:
        """Publish messages of devices whose Feed is gone: none of them may be counted."""
        for _ in range(count):
            message = devices.message(self._chance_again, time.time_ns() // 1_000_000)
            self._send(message, counts=False)

    def is_stored(
        self, facilities: Collection[str], windows: Callable[[str], list[dict[str, Any]]]
    ) -> bool:
        """Whether all that was published of some facilities is acknowledged and in `windows`."""
        with self._lock:
            under_way = [message for message in self._under_way.values() if message is not None]
        if any(message.readings[0].facility in facilities for message in under_way):
            return False
        try:
            answers = {facility: windows(facility) for facility in facilities}
        except OSError:  # the server is being started again
            return False
        with self._lock:
            return self.ledger.judge(answers, facilities).lost == 0

    def crowd(self, sources: int) -> None:
        """Publish one reading from each of so many further sources."""
        began = time.time_ns()
        for number in range(sources):
            facility, sensor = self._chance_again.choice(self.series)
            value = round(self._chance_again.gauss(20, 5), 6)
            src = f"crowd-{number}-{began:x}"
            self._send(_native(Reading(facility, sensor, src, 1, began // 1_000_000, value)))

    def _waiting(self) -> int:
        with self._lock:
            return len(self._under_way)

    def _publish_all(self) -> None:
        began, sent = time.monotonic(), 0
        while not self._stop.wait(_TICK):
            due = int((time.monotonic() - began) * self._rate)
            for _ in range(sent, due):
                self._publish()
            sent = due

    def _publish(self) -> None:
        late = self._chance.randrange(_LATEST_MS) if self._chance.random() < _LATE_SHARE else 0
        ts = time.time_ns() // 1_000_000 - late
        with self._choosing:  # none of them leaves in between
            if self.devices and self._chance.random() < _FOREIGN_SHARE:
                self._send(self._chance.choice(self.devices).message(self._chance, ts))
                return
        facility, sensor = self._chance.choice(self.series)
        self._seq[facility, sensor] += 1
        reading = Reading(
            facility,
            sensor,
            src=f"device-{facility}-{self.run}",
            seq=self._seq[facility, sensor],
            ts=ts,
            value=round(self._chance.gauss(20, 5), 6),
        )
        self._send(_native(reading))

    def _send(self, message: Message, *, counts: bool = True) -> None:
        number = self._client.publish(message.topic, message.body, qos=1).mid
        with self._lock:
            if number in self._early:  # its acknowledgement was faster than we
                self._early.discard(number)
                self._note(message if counts else None)
            else:
                self._under_way[number] = message if counts else None

    def _note(self, message: Message | None) -> None:
        if message is None:
            return
        for reading in message.readings:
            self.ledger.note(reading)
        if message.readings[0].facility not in self.ledger.repeatable:
            self._acknowledged.append(message)

    def _on_publish(
        self, _client: paho.Client, _data: Any, number: int, code: ReasonCode, _: Properties
    ) -> None:
        with self._lock:
            is_early = number not in self._under_way
            message = self._under_way.pop(number, None)
            if code.is_failure:
                return  # refused: the broker has not accepted it
            if is_early:
                self._early.add(number)
            else:
                self._note(message)


def names(facilities: int) -> list[str]:
    """Return the names of so many facilities."""
    return [f"hall_{number}" for number in range(1, facilities + 1)]


def _native(reading: Reading) -> Message:
    """Return the message of a generator."""
    body = {"ts": reading.ts, "val": reading.value, "src": reading.src, "seq": reading.seq}
    topic = f"sensor_readings/{reading.facility}/{reading.sensor}"
    return Message(topic, json.dumps(body), (reading,))


def _ts(message: Message) -> int:
    return message.readings[0].ts
