"""Waiting for what happens elsewhere and no event tells: bounded, and saying what was seen last."""

import ast
import asyncio
import inspect
import linecache
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Final

SECONDS: Final = 120.0
"""Seconds after which waiting fails: the bound of what hangs, not of what is slow."""

_FIRST_PAUSE, _LONGEST_PAUSE, _FACTOR = 0.005, 0.1, 1.5
"""Seconds between two looks; they grow, and last as long as a look takes, up to a second."""

_SHOWN: Final = 1_000
"""Characters of a value that an error shows: the last ones, since values grow at their end."""


async def eventually(
    condition: Callable[[], object],
    *,
    state: Callable[[], object] | None = None,
    seconds: float = SECONDS,
) -> None:
    """Return once a condition holds, which may be awaited; AssertionError with `state` if not."""
    clock, pause = asyncio.get_running_loop().time, 0.0
    try:
        async with asyncio.timeout(seconds) as bound:
            while True:
                began = clock()
                seen = condition()
                if inspect.isawaitable(seen):
                    seen = await seen
                if seen:
                    return
                pause = _next(pause, clock() - began)
                await asyncio.sleep(pause)
    except TimeoutError:
        if not bound.expired():
            raise
    raise AssertionError(_failure(condition, state, seconds))


def until(
    condition: Callable[[], object],
    *,
    state: Callable[[], object] | None = None,
    seconds: float = SECONDS,
) -> None:
    """Block until a condition holds; AssertionError with `state` if it does not in time."""
    deadline, pause = time.monotonic() + seconds, 0.0
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(_failure(condition, state, seconds))
        pause = _next(pause, now - began)
        time.sleep(pause)


def in_thread(condition: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """Return a condition that is looked at in a thread, since it blocks."""
    return partial(asyncio.to_thread, condition)


def _next(pause: float, took: float) -> float:
    grown = min(max(pause * _FACTOR, _FIRST_PAUSE), _LONGEST_PAUSE)
    return max(grown, min(took, 1.0))


def _failure(
    condition: Callable[[], object], state: Callable[[], object] | None, seconds: float
) -> str:
    lines = [f"not within {seconds:g} s: {_text(condition)}", *_seen(condition)]
    return "\n".join([*lines, str(state())] if state else lines)


def _text(condition: Callable[[], object]) -> str:
    body = _body(condition)
    if body is not None:
        return ast.unparse(body)
    if isinstance(condition, partial):
        return ", ".join([_text(each) if callable(each) else repr(each) for each in condition.args])
    return getattr(condition, "__qualname__", repr(condition))


def _seen(condition: Callable[[], object]) -> Iterator[str]:
    """Yield what a lambda compares and goes through, and what that is now."""
    if isinstance(condition, partial) and condition.args:
        condition = condition.args[0]
    body = _body(condition)
    if body is None or not isinstance(condition, FunctionType):
        return
    found = inspect.getclosurevars(condition)
    names = inspect.signature(condition).parameters.values()
    scope = {**condition.__globals__, **found.nonlocals, **{n.name: n.default for n in names}}
    for side in _sides(body):
        try:
            value = repr(eval(compile(ast.Expression(side), "<condition>", "eval"), scope))
        except Exception as error:  # noqa: BLE001  it may need what only the lambda has
            if isinstance(error, NameError):
                continue
            value = repr(error)
        yield f"{ast.unparse(side)} is {value if len(value) <= _SHOWN else '…' + value[-_SHOWN:]}"


def _sides(body: ast.expr) -> Iterator[ast.expr]:
    for node in ast.walk(body):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            yield from (side for side in sides if not isinstance(side, ast.Constant))
        elif isinstance(node, ast.comprehension):
            yield node.iter


def _body(condition: Any) -> ast.expr | None:
    """Return the body of a lambda, from its source."""
    code = getattr(condition, "__code__", None)
    if not isinstance(code, CodeType) or code.co_name != "<lambda>":
        return None
    source = "".join(linecache.getlines(code.co_filename))
    places = set(code.co_positions())
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            body = node.body
            place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
            if place in places:
                return body
    return None
