"""What `sensorpipe up` holds against its own run, and what was there before it."""

import pytest
from sensorpipe_cli.client import api
from sensorpipe_cli.client.api import Integrity, SetAside, Totals
from sensorpipe_cli.commands import summary
from sensorpipe_cli.runner.poller import Poller
from sensorpipe_cli.runner.runner import Ending


class Server:
    """Says of the dead letters what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aside = SetAside()
        monkeypatch.setattr(api, "integrity", self._integrity)
        self.poller = Poller("http://server", [], [])

    def _integrity(self, _url: str) -> Integrity:
        return Integrity([], Totals(), self.aside)

    async def baseline(self, *counts: int | None) -> None:
        self.aside = SetAside(*counts)
        await self.poller.baseline()

    async def asked(self, *counts: int | None) -> SetAside:
        self.aside = SetAside(*counts)
        assert await self.poller.integrity()
        return self.poller.figures.set_aside

    @property
    def code(self) -> int:
        return summary.exit_code(Ending.DONE, self.poller.figures)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


async def test_dead_letters_of_before_are_not_the_runs(server: Server) -> None:
    await server.baseline(5, 2, 7)
    assert server.poller.figures.set_aside == SetAside(0, 0, 0)
    assert await server.asked(5, 2, 7) == SetAside(0, 0, 0)
    assert server.code == 0
    assert await server.asked(6, 2, 7) == SetAside(1, 0, 0)
    assert server.code == 3
    assert await server.asked(6, 4, 8) == SetAside(1, 2, 1)
    assert server.code == 1


async def test_a_number_that_kafka_does_not_tell_is_the_last_known(server: Server) -> None:
    await server.baseline(5, 0, 0)
    await server.asked(5, 2, 0)
    assert await server.asked(None, None, None) == SetAside(0, 2, 0)
    assert server.code == 1


async def test_what_was_known_before_the_baseline_counts_as_before(server: Server) -> None:
    assert await server.asked(5, 2, 0) == SetAside(5, 2, 0)
    await server.baseline(None, 3, 0)
    assert server.poller.figures.set_aside == SetAside(None, 0, 0)
    assert await server.asked(5, 3, 0) == SetAside(0, 0, 0)
    assert server.code == 0
