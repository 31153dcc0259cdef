"""What `sensorpipe up` holds against its own run, and what was there before it."""

import json
from pathlib import Path

import pytest
from sensorpipe_cli.client import api
from sensorpipe_cli.client.api import Integrity, SetAside, SourceRow, Totals
from sensorpipe_cli.commands import summary
from sensorpipe_cli.runner.child import Child
from sensorpipe_cli.runner.pipeline import Part
from sensorpipe_cli.runner.poller import Poller, parse_src
from sensorpipe_cli.runner.runner import Ending


class Server:
    """Says of the dead letters what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aside = SetAside()
        self.rows: list[SourceRow] = []
        self.unidentified = 0
        monkeypatch.setattr(api, "integrity", self._integrity)
        self.poller = Poller("http://server", [], [])

    def _integrity(self, _url: str) -> Integrity:
        return Integrity(self.rows, Totals(unidentified=self.unidentified), self.aside)

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


def row(src: str, count: int) -> SourceRow:
    return SourceRow("hall", "t", src, 1, count, count, 0, 0)


def generator(folder: Path) -> Part:
    """Return a generator that has started, and said `src`; the process itself is not there."""
    log = folder / "generator.log"
    lines = [{"message": "Something"}, {"message": "Generator started", "src": "hall-0a"}]
    log.write_text("no JSON\n" + "".join(json.dumps(line) + "\n" for line in lines))
    return Part(Child("generator hall", [], log), "http://generator")


async def test_what_others_published_makes_up_for_nothing_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Server(monkeypatch)
    poller = Poller("http://server", [generator(tmp_path)], [])
    server.rows, server.unidentified = [row("meter", 100), row("hall-99", 7)], 3
    await poller.baseline()
    assert (poller.figures.stored, poller.figures.others) == (0, 0)
    server.rows = [row("meter", 120), row("hall-99", 7), row("hall-0a", 5), row("new", 2)]
    server.unidentified = 4
    assert await poller.integrity()
    assert (poller.figures.stored, poller.figures.others) == (5, 20 + 2 + 1)


@pytest.mark.parametrize(
    "log", ["", "no JSON", "[]", '{"message": "Generator started"}', '{"src": "a"}']
)
def test_a_log_may_lack_the_src(log: str) -> None:
    assert parse_src(log) is None
