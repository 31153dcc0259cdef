"""An offset is committed only once a majority of MongoDB's servers has what lies below it."""

from sensorpipe_server.storage.mongodb import database
from support.replica_set import replica_set
from support.server_parts import counts, one
from support.server_pipe import Pipe, expect, failures
from support.waiting import eventually


async def test_what_is_there_already_is_committed_only_once_a_majority_has_it(
    tansu, tmp_path, monkeypatch
):
    """The primary has it alone, a server that was killed comes again, and the primary is lost."""
    monkeypatch.setattr("sensorpipe_server.ingest.consume.STOP_SECONDS", 0.5)
    monkeypatch.setattr("sensorpipe_server.ingest.writer.WRITE_SECONDS", 2.0)
    pipe, messages = Pipe(tansu.port), [one([(n, 1.0)], number=n) for n in range(1, 5)]
    async with (
        replica_set(tmp_path) as mongods,
        database.connect(mongods.uri("majority")) as client,
    ):
        db = database.database(client)
        async with pipe.ingesting(db):
            await pipe.send(messages[0])
            await expect(db, [1])
            await pipe.commits(1)
        await mongods.replicate(on=False)

        async def is_on_the_primary():
            return await mongods.count("majority", "compacted_sensor_readings") == 4

        async with pipe.ingesting(db):
            await pipe.send(*messages[1:])
            await eventually(is_on_the_primary)
        async with pipe.ingesting(db):
            await failures(2)  # each had only redelivered partials to store
            assert (await pipe.committed())[0] == 1
            await mongods.members[0].kill()
            await mongods.replicate(on=True)
            await pipe.commits(4)
        assert await counts(db) == [4]
