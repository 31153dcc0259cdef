"""Fences: what one run writes behind the fence of another run of its compactor does not count."""

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.logs import Fence, Log
from sensorpipe_server.storage.mongodb import database
from support.server_parts import PLACE, batch_of, fence_message, fresh_database, one

events = st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(1, 3))
"""Whether it is a fence, of which compactor, and of which run."""


def offsets(batch):
    return [each.record.offset for each in batch.partials]


@given(st.lists(events, max_size=30), st.integers(0, 30))
def test_the_last_fence_before_a_partial_decides_wherever_a_batch_begins(log, begin):
    messages = [
        fence_message(run, compactor)
        if is_fence
        else one([(1, 1.0)], compactor=compactor, run=run, number=at + 1)
        for at, (is_fence, compactor, run) in enumerate(log)
    ]
    counted = []
    for at, (is_fence, compactor, run) in enumerate(log):
        fences = [each[2] for each in log[:at] if each[:2] == (True, compactor)]
        if not is_fence and (not fences or fences[-1] == run):
            counted.append(at)
    known = Log(PLACE, None)
    first = batch_of(*messages[:begin], log=known)
    second = batch_of(*messages[begin:], log=known, first_offset=begin)
    again = batch_of(*messages, log=known)  # a reader was sent back
    assert offsets(again) == counted
    assert offsets(first) + offsets(second) == counted
    assert first.fenced + second.fenced + len(counted) == sum(not each[0] for each in log)


async def test_a_re_read_after_a_crash_decides_alike(mongod):
    messages = [one([(1, 1.0)], number=1), fence_message(2), one([(2, 2.0)], number=2)]
    async with fresh_database(mongod) as db:
        stored = database.logs(db)
        for _ in range(2):
            batch = batch_of(*messages, log=await logs.load(stored, PLACE))
            assert (offsets(batch), batch.fenced) == ([0], 1)
            await logs.save(stored, batch.fences, {})
        late, known = one([(3, 1.0)], number=3), await logs.load(stored, PLACE)
        assert batch_of(late, log=known, first_offset=3).fenced == 1
        other = await logs.load(stored, PLACE._replace(log="another"))
        assert batch_of(late, log=other, first_offset=3).fenced == 0


async def test_fences_are_kept_by_partition_and_bounded(mongod, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.storage.logs.MAX_FENCES", 3)
    async with fresh_database(mongod) as db:
        stored = database.logs(db)
        first, tenth = (PLACE._replace(partition=number) for number in (1, 10))
        many = [Fence(first, "a/b.$c", run, 10 * run) for run in range(1, 6)]
        await logs.save(stored, [*many, *many[-2:]], {})
        await logs.save(stored, [Fence(tenth, "c", 1, 7)], {})
        entry = await stored.find_one({"_id": "topic/1"})
        assert entry is not None
        assert [(fence["run"], fence["offset"]) for fence in entry["fences"]] == [
            (3, 30),
            (4, 40),
            (5, 50),
        ]
        known = await logs.load(stored, first)
        known.move_to(41)
        assert [known.excludes("a/b.$c", run) for run in (4, 5)] == [False, True]
        known.move_to(51)
        assert [known.excludes("a/b.$c", run) for run in (4, 5)] == [True, False]
        known = await logs.load(stored, tenth)
        known.move_to(8)
        assert [known.excludes(name, 2) for name in ("c", "a/b.$c")] == [True, False]


async def test_a_log_is_known_once_it_is_adopted_and_others_are_forgotten(mongod):
    async with fresh_database(mongod) as db:
        stored, next_log = database.logs(db), PLACE._replace(log="next")
        await logs.save(stored, [Fence(PLACE, "c", 1, 900)], {PLACE: [901, 902]})
        assert (await logs.load(stored, PLACE)).is_new
        await logs.adopt(stored, PLACE)
        assert not (await logs.load(stored, PLACE)).is_new
        assert (await logs.load(stored, next_log)).is_new
        await logs.save(stored, [Fence(next_log, "c", 2, 3)], {})
        for _ in range(2):
            await logs.save(stored, [], {next_log: [4]})
        await logs.adopt(stored, next_log)
        assert await stored.find().to_list() == [
            {
                "_id": "topic/0",
                "log": "next",
                "fences": [{"log": "next", "compactor": "c", "run": 2, "offset": 3}],
                "fenced": 3,
                "last_fenced": {"log": "next", "offset": 4},
            }
        ]
