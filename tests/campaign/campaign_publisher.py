"""Devices of the campaign: publish with paho, and note what the broker acknowledges."""

import json
import random
import threading
import time
from collections import Counter
from itertools import product
from typing import Any, Final

import paho.mqtt.client as paho
from campaign_ledger import Ledger, Reading
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

FACILITIES: Final = ("hall_1", "hall_2", "hall_3")
SENSORS: Final = ("temperature", "pressure")

_TICK: Final = 0.02
_LATE_SHARE: Final = 0.03
_LATEST_MS: Final = 30_000


class Publisher:
    """One client that publishes for all devices, from a thread, until told to stop.

    paho keeps what is not acknowledged, and sends it again after a reconnect.
    """

    def __init__(self, port: int, seed: int, rate: int) -> None:
        self.ledger = Ledger()
        self._rate = rate
        self._chance = random.Random(seed)
        self._chance_again = random.Random(seed)
        self._run = f"{seed:x}-{time.time_ns():x}"
        self._seq: Counter[tuple[str, str]] = Counter()
        self._acknowledged: list[Reading] = []
        self._under_way: dict[int, Reading | None] = {}
        """What waits for its acknowledgement; None for what was acknowledged before."""
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish_all, name="publisher", daemon=True)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"campaign-{self._run}", protocol=paho.MQTTv5
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
        """Send some readings that were acknowledged before, with a `ts` below `until_ms`, again.

        As a device does that has not kept what the broker said. The ledger has them already.
        """
        with self._lock:
            known = [reading for reading in self._acknowledged if reading.ts < until_ms]
        for reading in self._chance_again.sample(known, min(count, len(known))):
            self._send(reading, again=True)

    def crowd(self, sources: int) -> None:
        """Publish one reading from each of so many further sources."""
        began = time.time_ns()
        for number in range(sources):
            facility, sensor = self._chance_again.choice(list(product(FACILITIES, SENSORS)))
            value = round(self._chance_again.gauss(20, 5), 6)
            src = f"crowd-{number}-{began:x}"
            self._send(Reading(facility, sensor, src, 1, began // 1_000_000, value))

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
        facility, sensor = self._chance.choice(list(product(FACILITIES, SENSORS)))
        self._seq[facility, sensor] += 1
        late = self._chance.randrange(_LATEST_MS) if self._chance.random() < _LATE_SHARE else 0
        reading = Reading(
            facility,
            sensor,
            src=f"device-{facility}-{self._run}",
            seq=self._seq[facility, sensor],
            ts=time.time_ns() // 1_000_000 - late,
            value=round(self._chance.gauss(20, 5), 6),
        )
        self._send(reading)

    def _send(self, reading: Reading, *, again: bool = False) -> None:
        body = {"ts": reading.ts, "val": reading.value, "src": reading.src, "seq": reading.seq}
        topic = f"sensor_readings/{reading.facility}/{reading.sensor}"
        number = self._client.publish(topic, json.dumps(body), qos=1).mid
        with self._lock:
            if number in self._early:  # its acknowledgement was faster than we
                self._early.discard(number)
                self._note(None if again else reading)
            else:
                self._under_way[number] = None if again else reading

    def _note(self, reading: Reading | None) -> None:
        if reading is not None:
            self.ledger.note(reading)
            self._acknowledged.append(reading)

    def _on_publish(
        self, _client: paho.Client, _data: Any, number: int, code: ReasonCode, _: Properties
    ) -> None:
        with self._lock:
            is_early = number not in self._under_way
            reading = self._under_way.pop(number, None)
            if code.is_failure:
                return  # refused: the broker has not accepted it
            if is_early:
                self._early.add(number)
            else:
                self._note(reading)
