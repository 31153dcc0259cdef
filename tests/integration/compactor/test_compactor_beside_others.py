"""A compactor that looks at what others write between its appends, on one connection."""

import pytest
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.epoch.claim import FencedError
from sensorpipe_compactor.epoch.tail import Tail
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_schema.partial import Origin
from support.compactor_parts import kafka_settings, record, written


async def test_one_connection_is_enough_until_a_rival_is_found(
    kafka: Child, monkeypatch: pytest.MonkeyPatch
):
    settings = kafka_settings(kafka)
    ours, others = Journal(settings, "beside"), Journal(settings, "others")
    await ours.open()
    await others.open()
    connections = []
    enter = Tail.__aenter__

    async def counted(tail: Tail) -> Tail:
        connections.append(tail)
        return await enter(tail)

    monkeypatch.setattr(Tail, "__aenter__", counted)
    try:
        for number in range(1, 8):
            for journal, name in ((others, "others"), (ours, "beside")):
                origin = Origin(name, journal.run, number, 10_000)
                await journal.append([record(origin, [number])])
        assert len(connections) == 2, "one of each"
        assert len(await written(settings, "beside")) >= 7
        rival = Journal(settings, "beside")
        await rival.open()
        await rival.close()
        with pytest.raises(FencedError):
            await ours.append([record(Origin("beside", ours.run, 8, 10_000), [8])])
    finally:
        await ours.close()
        await others.close()
