"""MongoDB's limit: stored windows copied by bulk writes alone, as durable as the server's.

`store_in_bulk.py URI SOURCE TARGET insert|replace BATCH` prints JSON: seconds and CPU seconds.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from pymongo import ReplaceOne
from sensorpipe_schema import memory
from sensorpipe_server import database


async def main(uri: str, source: str, target: str, kind: str, batch: str) -> None:
    """Write all documents of a collection to another one, a batch after the other."""
    async with database.connect(uri) as client:
        db = database.database(client)
        documents = await db[source].find().sort("_id").to_list()
        copy = db.get_collection(target, write_concern=database.DURABLE)
        items: Sequence[Any] = documents
        if kind == "replace":
            items = [ReplaceOne({"_id": document["_id"]}, document) for document in documents]

        async def write(some: Sequence[Any]) -> object:
            if kind == "insert":
                return await copy.insert_many(some, ordered=False)
            return await copy.bulk_write(some, ordered=False)

        size = int(batch)
        memory.settle()
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(0, len(items), size):
            await write(items[at : at + size])
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps([seconds, used]))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
