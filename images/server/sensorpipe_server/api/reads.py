"""Reading from MongoDB for answers: every wait is bounded, the loop is never held."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, cast

import bson
import pymongo
from bson.codec_options import CodecOptions

from sensorpipe_server import facilities
from sensorpipe_server.database import READ_SECONDS, Collection
from sensorpipe_server.documents import Document

BATCH: Final = 200
"""Documents fetched and handed on at a time."""

UTC_DATES: Final[CodecOptions[dict[str, Any]]] = CodecOptions(tz_aware=True)


def fields_of(sensors: list[str], *fields: str) -> dict[str, Any]:
    """Return the projection to these fields of a window's sensors.

    A list of sensors that has reached its bound need not name them all: then every sensor is
    read, whole, since MongoDB projects to fields by name only.
    """
    if len(sensors) >= facilities.LISTED:
        return {"sensors": 1}
    return {f"sensors.{name}.{field}": 1 for name in sensors for field in fields}


async def in_batches(
    collection: Collection,
    condition: Mapping[str, Any],
    projection: Mapping[str, Any],
    *,
    newest_first: bool = False,
) -> AsyncGenerator[list[Document]]:
    """Yield all documents a few at a time, letting others run in between."""
    cursor = collection.find_raw_batches(condition, projection, batch_size=BATCH)
    cursor = cursor.sort("_id", -1 if newest_first else 1)
    try:
        while True:
            with pymongo.timeout(READ_SECONDS):
                # what the stubs call a document is the bytes of a whole batch
                raw = cast("bytes | None", await anext(cursor, None))
            if raw is None:
                return
            yield bson.decode_all(raw, UTC_DATES)
            await asyncio.sleep(0)
    finally:
        await cursor.close()
