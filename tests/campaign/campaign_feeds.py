"""The folder of Feeds under the campaign: files come, change, break and go while readings flow."""

import asyncio
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import campaign_devices
from campaign_devices import Devices
from support.pipeline import monitoring_url, windows
from support.waiting import eventually, in_thread

if TYPE_CHECKING:
    from campaign_parts import Parts
    from campaign_publisher import Publisher
    from sensorpipe_cli.runner.child import Child

_MOST_GUESTS: Final = 3
_MOST_SENSORS: Final = 5
_UNCLAIMED: Final = 20
_IDENTITIES: Final = ("time", "counter", "none")
_BROKEN: Final = ("", "kind: Feed\n", "kind: [", "\0", "spec: {}\n---\nkind: Feed\n")


class Feeds:
    """The files of Feeds, and the devices that publish while theirs are in use.

    A broker keeps nothing for a filter that is not subscribed, and no Feed takes what comes after
    its end. So devices begin once their filter is subscribed, and end, and have all of their
    readings stored, before their file is deleted.
    """

    def __init__(self, parts: "Parts", publisher: "Publisher", seed: int) -> None:
        self._parts, self._publisher = parts, publisher
        self._chance = random.Random(seed)
        self._guests: list[Devices] = []
        self._made = 0

    async def begin(self) -> None:
        """Write the Feeds that are there from the start, and have their devices publish."""
        devices = campaign_devices.steady(self._publisher.run)
        for each in devices:
            self._write(each, each.manifest())
        await self._in_use(*devices)
        self._publisher.join(*devices)

    async def add(self) -> None:
        """Add a file; its devices publish from when its filter is subscribed."""
        if len(self._guests) == _MOST_GUESTS:
            await self.remove()
        self._made += 1
        identity = self._chance.choice(_IDENTITIES)
        guest = Devices(f"guest{self._made}", identity, self._publisher.run, sensors=1)
        self._write(guest, guest.manifest())
        await self._in_use(guest)
        self._guests.append(guest)
        self._publisher.join(guest)

    async def change(self) -> None:
        """Change a file, so that the Feed has another name and takes one more sensor."""
        one = self._one()
        if one.version < _MOST_SENSORS:
            one.version += 1
            self._write(one, one.manifest())
            await self._in_use(one)
            one.sensors = one.version

    async def remove(self) -> None:
        """Delete a file once all is stored; what its devices send then is nobody's."""
        if not self._guests:
            await self.add()
        guest = self._guests.pop(self._chance.randrange(len(self._guests)))
        self._publisher.leave(guest)
        await eventually(in_thread(lambda: self._is_stored(guest)), state=self._compactor.tail)
        self._file(guest).unlink()
        await self._in_use()
        self._publisher.send_unclaimed(guest, _UNCLAIMED)

    async def break_one(self, seconds: float) -> None:
        """Write something wrong into a file for so long: what was right of it stays in use."""
        one = self._one()
        self._write(one, self._chance.choice(_BROKEN))
        await self._shows("sensorpipe_compactor_feed_files_wrong 1.0")
        await asyncio.sleep(seconds)  # how long the fault lasts
        self._write(one, one.manifest())
        await self._shows("sensorpipe_compactor_feed_files_wrong 0.0")

    def _one(self) -> Devices:
        return self._chance.choice(self._publisher.devices)

    @property
    def _compactor(self) -> "Child":
        return self._parts.children["compactor"]

    def _file(self, devices: Devices) -> Path:
        return self._parts.feeds / f"{devices.name}.yaml"

    def _write(self, devices: Devices, text: str) -> None:
        whole = self._parts.feeds / ".new"
        whole.write_text(text, encoding="utf-8")
        whole.replace(self._file(devices))

    async def _in_use(self, *devices: Devices) -> None:
        """Wait until the compactor uses the Feeds of these, and just those that have a file."""
        files = len(list(self._parts.feeds.glob("*.yaml")))
        await self._shows(
            f"sensorpipe_compactor_feed_filters_subscribed {files}.0",
            *(f'sensorpipe_compactor_feed_messages_total{{feed="{one.feed}"}}' for one in devices),
        )

    async def _shows(self, *texts: str) -> None:
        """Wait until the compactor's metrics have these; it may be starting."""
        url = f"{monitoring_url(self._compactor)}/metrics"
        await eventually(in_thread(_has(url, texts)), state=self._compactor.tail)

    def _is_stored(self, devices: Devices) -> bool:
        return self._publisher.is_stored(
            devices.facilities, lambda facility: windows(self._parts.api, facility)
        )


def _has(url: str, texts: tuple[str, ...]) -> Callable[[], bool]:
    def look() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                shown = answer.read().decode()
        except OSError:
            return False
        return all(text in shown for text in texts)

    return look
