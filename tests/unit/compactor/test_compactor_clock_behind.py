"""What the compactor tells while its clock is behind most sources."""

import logging

import pytest
from sensorpipe_compactor import compactor as module
from sensorpipe_schema.reading import Reading
from support.compactor_bench import Bench
from support.window_parts import NOW, of, when

HOUR = 3_600


async def test_it_tells_by_how_much_the_clock_is_behind_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    bench, behind = Bench(), HOUR
    monkeypatch.setattr(module, "read_clocks", lambda: when(NOW, -1000 * behind))
    bench.give([of(Reading(NOW, 1.0, src, 1)) for src in "abc"])
    for behind in (HOUR, 2 * HOUR, 300):
        await bench.flush()
        assert bench.compactor.clock_behind_s == behind  # once it stayed what it was at first
        assert bench.compactor.readiness() == (
            f"this machine's clock is {behind} s behind most sources"
        )
    behind = 0
    await bench.flush()
    assert bench.compactor.clock_behind_s is None
    assert [record.getMessage() for record in caplog.records] == [
        "This machine's clock is behind most sources: their readings are held",
        "This machine's clock agrees with the sources again",
    ]
