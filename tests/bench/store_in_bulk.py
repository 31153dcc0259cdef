"""MongoDB's limit: stored documents inserted once more by bulk writes alone, as durable as the
server's.

`store_in_bulk.py URI SOURCE TARGET BEFORE BATCH` prints JSON: seconds and CPU seconds for all
documents but the first so many, which are inserted beforehand. They come in the order in which
they were stored.
"""

import json
import sys
import time
from typing import Any

import uvloop
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Collection


async def main(uri: str, source: str, target: str, before: str, batch: str) -> None:
    """Insert the documents of a collection into another one, a batch after the other."""
    async with database.connect(uri) as client:
        db = database.database(client)
        documents = await db[source].find().hint([("$natural", 1)]).to_list()
        copy = db.get_collection(target, write_concern=database.DURABLE)
        await copy.drop()
        await _insert(copy, documents[: int(before)], 10_000)
        timed = documents[int(before) :]
        tune_garbage_collection()
        began, cpu = time.perf_counter(), time.process_time()
        await _insert(copy, timed, int(batch))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        await copy.drop()
    print(json.dumps([seconds, used, len(timed)]))


async def _insert(copy: Collection, documents: list[dict[str, Any]], size: int) -> None:
    for at in range(0, len(documents), size):
        await copy.insert_many(documents[at : at + size], ordered=False)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
