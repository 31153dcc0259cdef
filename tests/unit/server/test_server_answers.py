"""A long list of an answer is made in pieces, so that the event loop answers others meanwhile."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from sensorpipe_server.api.http import answers
from sensorpipe_server.api.http.answers import AT_ONCE, encoded


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
async def test_a_list_in_pieces_is_the_list(count: int) -> None:
    items = [{"name": f"hall {number}", "values": [number, 0.5]} for number in range(count)]
    made = answers.json({"data": await encoded(iter(items))})
    assert json.loads(bytes(made.body)) == {"data": items}


async def test_others_have_their_turn_after_each_piece() -> None:
    turns = 0
    at_turn: list[int] = []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def items() -> Iterator[int]:
        for number in range(10 * AT_ONCE):
            at_turn.append(turns)
            yield number

    running = asyncio.create_task(others())
    await encoded(items())
    running.cancel()
    assert max(at_turn.count(turn) for turn in at_turn) <= AT_ONCE
