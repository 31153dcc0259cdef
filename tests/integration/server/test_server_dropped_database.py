"""A database that is dropped while the server runs: what is stored afterwards is seen."""

import asyncio
import json
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.audit.audit import Audit
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from support.server_parts import T0, batch_of, client_of, fresh_database, one
from support.server_process import server_child
from support.services import running
from support.waiting import eventually


async def drop(db):
    await db.client.drop_database(db.name)


async def test_windows_stored_after_a_drop_are_found_without_any_list_of_them(mongod):
    async with fresh_database(mongod) as db, client_of(db) as client:
        store = Store(db)  # one for all writes, as in a running server
        await store.write(batch_of(one([(1, 1.0)], facility="old"), one([(1, 1.0)])).partials)
        await drop(db)
        after = batch_of(one([(2, 1.0), (4, 1.0)], window=1, number=2))
        await store.write(after.partials)
        assert await database.facilities(db).count_documents({}) == 0  # nothing new to note
        integrity = (await client.get("/api/integrity")).json()
        assert [(line["facility"], line["lost"]) for line in integrity["data"]] == [
            ("facility_1", 2)
        ]
        (facility,) = (await client.get("/api/facilities")).json()["data"]
        assert (facility["facility_name"], facility["sensors"]) == ("facility_1", ["temperature"])
        (stats,) = (await client.get("/api/stats?sensors=temperature")).json()
        assert stats["temperature"]["count"] == 2


async def test_the_audit_begins_anew_after_a_drop(mongod):
    async with fresh_database(mongod) as db:
        store, now = Store(db), T0 / 1000 + 3600
        audit = Audit(db, lambda: True, clock=lambda: now)
        await store.write(batch_of(one([(1, 1.0)]), one([(1, 1.0)], facility="old")).partials)
        await audit.round()
        await drop(db)
        await store.write(batch_of(one([(2, 1.0)], window=1, number=2)).partials)
        for _ in range(2):
            await audit.round()
        assert audit.findings is not None
        assert (audit.findings.facilities, audit.findings.lost) == (1, 1)


async def test_the_audit_lists_facilities_that_a_drop_took_from_the_list(mongod):
    async with fresh_database(mongod) as db, client_of(db) as client:
        store, now = Store(db), T0 / 1000 + 3600
        audit = Audit(db, lambda: True, clock=lambda: now)
        await store.write(batch_of(one([(1, 1.0)])).partials)
        await audit.round()
        await drop(db)
        windows = [one([(n, 1.0)], window=n, number=n) for n in (2, 3)]
        await store.write(batch_of(*windows, one([(1, 1.0)], facility="new")).partials)
        assert await database.facilities(db).distinct("_id") == ["new"]
        for _ in range(2):
            await audit.round()
        found = (await client.get("/api/facilities")).json()["data"]
        assert [each["facility_name"] for each in found] == ["facility_1", "new"]
        assert [each["sensors"] for each in found] == [["temperature"], ["temperature"]]
        entry = await database.facilities(db).find_one({"_id": "facility_1"})
        assert entry == {
            "_id": "facility_1", "sensors": ["temperature"], "first_ms": T0 + 20_000,
            "last_ms": T0 + 30_000, "last_end_ms": T0 + 40_000,
        }  # fmt: skip


async def test_a_facility_whose_name_begins_like_anothers_is_found(mongod):
    async with fresh_database(mongod) as db, client_of(db) as client:
        names = ["a", "a-1", "a0", "a_b", "ab", "b"]
        await Store(db).write(
            batch_of(*(one([(1, 1.0)], facility=name) for name in names)).partials
        )
        await database.facilities(db).drop()
        await database.windows(db).insert_one({"_id": "/", "sensors": {}})  # none of ours
        found = (await client.get("/api/facilities")).json()["data"]
        assert sorted(facility["facility_name"] for facility in found) == names


@asynccontextmanager
async def serving(tansu, mongod, name, folder):
    async with running(server_child(folder, tansu, mongod, name)) as child:
        yield child.port


async def verify(port):
    argv = [sys.executable, "-m", "sensorpipe_cli", "verify", "--json"]
    argv += ["--url", f"http://127.0.0.1:{port}"]
    return await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True)


async def test_verify_sees_what_a_running_server_stores_after_a_drop(tansu, mongod, tmp_path):
    facility = f"f{uuid.uuid4().hex[:12]}"

    async def send(number, seqs):
        message = one([(seq, 1.0) for seq in seqs], window=number, number=number, facility=facility)
        bootstrap = f"127.0.0.1:{tansu.port}"
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            await producer.send_and_wait(COMPACTED, message, key=facility.encode())

    async with fresh_database(mongod) as db:

        async def is_stored():
            return await database.windows(db).count_documents({"facility_name": facility}) == 1

        async with serving(tansu, mongod, db.name, tmp_path) as port:
            await send(1, [1, 2])
            await eventually(is_stored)
            await drop(db)
            await send(2, [3, 4])
            await eventually(is_stored)
            done = await verify(port)
    rows = [row for row in json.loads(done.stdout)["data"] if row["facility"] == facility]
    assert [(row["first"], row["count"], row["pending"]) for row in rows] == [(3, 2, 2)]
