"""MongoDB's limit: stored windows written again by bulk writes alone, as durable as the server's.

`store_in_bulk.py URI SOURCE TARGET KIND BATCH` prints JSON: seconds and CPU seconds. KIND is
`insert`, `replace`, or `guarded`: replaced only where the stored `rev` is the one expected.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from pymongo import ReplaceOne, UpdateOne
from sensorpipe_schema import memory
from sensorpipe_server import database
from sensorpipe_server.database import Collection
from sensorpipe_server.documents import Document


async def main(uri: str, source: str, target: str, kind: str, batch: str) -> None:
    """Write all documents of a collection to another one, a batch after the other."""
    async with database.connect(uri) as client:
        db = database.database(client)
        documents = await db[source].find().sort("_id").to_list()
        copy = db.get_collection(target, write_concern=database.DURABLE)
        await copy.drop()
        if kind != "insert":
            await copy.insert_many([{**document, "rev": 0} for document in documents])
        items = [_operation(document, kind) for document in documents]
        size = int(batch)
        memory.settle()
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(0, len(items), size):
            await _write(copy, items[at : at + size], kind)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        await copy.drop()
    print(json.dumps([seconds, used]))


def _operation(document: Document, kind: str) -> Any:
    key = {"_id": document["_id"]}
    if kind == "insert":
        return document
    if kind == "replace":
        return ReplaceOne(key, document)
    guarded = {"$cond": [{"$eq": ["$rev", 0]}, {"$literal": document}, "$$ROOT"]}
    return UpdateOne(key, [{"$replaceWith": guarded}])


async def _write(copy: Collection, items: Sequence[Any], kind: str) -> None:
    if kind == "insert":
        await copy.insert_many(items, ordered=False)
    else:
        written = await copy.bulk_write(items, ordered=False)
        assert written.modified_count == len(items)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
