"""Tasks that are to go on for as long as another one."""

import asyncio
from collections.abc import Awaitable, Iterable


class EndedError(Exception):
    """A task ended that was to go on; the program has to be started again."""


async def while_lasting(work: Awaitable[None], tasks: Iterable[asyncio.Task[None]]) -> None:
    """Do the work while all tasks go on, and then end them; raise EndedError if one ends first.

    Nobody awaits them, so that otherwise one could end unheard: kopf, for one, cancels whatever
    was begun beside it and still is not done when its watches end.
    """
    working, others = asyncio.ensure_future(work), list(tasks)
    try:
        await asyncio.wait([working, *others], return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in others if task.done()]
    finally:
        for task in (working, *others):
            task.cancel()
        await asyncio.gather(working, *others, return_exceptions=True)
    for task in ended:
        error = None if task.cancelled() else task.exception()
        raise EndedError(f"{task.get_name()} ended, and must not") from error
    working.result()
