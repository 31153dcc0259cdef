"""Coroutines beside each other, one call of MongoDB at a time, in an order that a test chooses."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

CALLS = frozenset(
    {
        "aggregate",
        "bulk_write",
        "count_documents",
        "delete_many",
        "delete_one",
        "find_one",
        "insert_many",
        "insert_one",
        "replace_one",
        "update_many",
        "update_one",
    }
)
"""Methods of a collection that are one call each."""


class Stepped:
    """Work on a database that stands still before each of its calls, until `step` lets it go on."""

    def __init__(self, db: Any, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._gone_on = asyncio.Event()
        self._stands = asyncio.Event()
        self.task = asyncio.ensure_future(work(_Database(db, self._stand)))

    async def step(self) -> bool:
        """Let it make one call, and come to the next; return False if it has ended."""
        await self._until_it_stands()
        if self.task.done():
            return False
        self._stands.clear()
        self._gone_on.set()
        await self._until_it_stands()
        return not self.task.done()

    async def steps(self, most: int) -> None:
        """Let it make so many calls, or end before."""
        for _ in range(most):
            if not await self.step():
                return

    async def finish(self) -> Any:
        """Let it make all its calls, and return what it returns."""
        while await self.step():
            pass
        return await self.task

    async def kill(self) -> None:
        """End it where it stands; a read that it has begun is waited for, as by the server."""
        self.task.cancel()
        self._gone_on.set()
        await asyncio.wait({self.task})

    async def _stand(self) -> None:
        self._stands.set()
        await self._gone_on.wait()
        self._gone_on.clear()

    async def _until_it_stands(self) -> None:
        standing = asyncio.ensure_future(self._stands.wait())
        await asyncio.wait({standing, self.task}, return_when=asyncio.FIRST_COMPLETED)
        standing.cancel()


class _Database:
    def __init__(self, db: Any, stand: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._stand = stand

    def get_collection(self, name: str, **options: Any) -> "_Collection":
        return _Collection(self._db.get_collection(name, **options), self._stand)


class _Collection:
    def __init__(self, collection: Any, stand: Callable[[], Awaitable[None]]) -> None:
        self._collection = collection
        self._stand = stand

    def with_options(self, **options: Any) -> "_Collection":
        return _Collection(self._collection.with_options(**options), self._stand)

    def find(self, *args: Any, **options: Any) -> "_Cursor":
        return _Cursor(self._collection.find(*args, **options), self._stand)

    def find_raw_batches(self, *args: Any, **options: Any) -> "_Cursor":
        return _Cursor(self._collection.find_raw_batches(*args, **options), self._stand)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name not in CALLS:
            raise AttributeError(name)
        call = getattr(self._collection, name)

        async def stand_and_call(*args: Any, **options: Any) -> Any:
            await self._stand()
            return await call(*args, **options)

        return stand_and_call


class _Cursor:
    def __init__(self, cursor: Any, stand: Callable[[], Awaitable[None]]) -> None:
        self._cursor = cursor
        self._stand = stand

    def sort(self, *args: Any) -> "_Cursor":
        self._cursor = self._cursor.sort(*args)
        return self

    def limit(self, limit: int) -> "_Cursor":
        self._cursor = self._cursor.limit(limit)
        return self

    def __aiter__(self) -> "_Cursor":
        return self

    async def __anext__(self) -> Any:
        await self._stand()
        return await anext(self._cursor)

    async def to_list(self) -> list[Any]:
        await self._stand()
        found: list[Any] = await self._cursor.to_list()
        return found

    async def close(self) -> None:
        await self._cursor.close()
