"""A database of an earlier version is refused with one line, before anything is stored."""

import os
import subprocess
import sys

import pytest
from sensorpipe_cli.runner.ports import free_ports
from sensorpipe_server.storage.mongodb import database, old_format
from sensorpipe_server.storage.store import Store
from support.server_parts import batch_of, fresh_database, one

FORMER = {
    "_id": "facility_1/001731600000000/10000",
    "facility_name": "facility_1",
    "rev": 3,
    "sensors": {"temperature": {"count": 1, "mean": 1.0, "m2": 0.0, "min": 1.0, "max": 1.0}},
    "compactors": [{"compactor": "c", "epoch": 1, "number": 3}],
}


async def test_the_server_ends_with_what_is_to_be_done(tansu, mongod):
    http, monitoring = free_ports(2)
    async with fresh_database(mongod) as db:
        await database.windows(db).insert_one(FORMER)
        environ = {
            **os.environ,
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{tansu.port}",
            "SENSORPIPE_MONGODB_URI": f"mongodb://127.0.0.1:{mongod.port}/{db.name}",
            "SENSORPIPE_HTTP": f"127.0.0.1:{http}",
            "SENSORPIPE_MONITORING": f"127.0.0.1:{monitoring}",
        }
        argv = [sys.executable, "-m", "sensorpipe_server"]
        ended = subprocess.run(  # noqa: ASYNC221  nothing else is to run meanwhile
            argv, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert await db.list_collection_names() == [database.windows(db).name]
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line == (
        f"sensorpipe-server: the database '{db.name}' holds windows in the format of an earlier "
        "version: drop its collections compacted_sensor_readings, facilities and fences, or "
        "name another database in SENSORPIPE_MONGODB_URI"
    )


@pytest.mark.parametrize("facility", ["a", "z"])
async def test_former_windows_are_found_beside_others_and_others_alone_are_not(mongod, facility):
    async with fresh_database(mongod) as db:
        await old_format.refuse(db)
        await Store(db).write(batch_of(one([(1, 1.0)])).partials)
        await old_format.refuse(db)
        await database.windows(db).insert_one({**FORMER, "_id": f"{facility}/001731600000000/1"})
        with pytest.raises(old_format.OldFormatError):
            await old_format.refuse(db)
