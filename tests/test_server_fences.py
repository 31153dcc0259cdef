"""Fences: what a lower epoch wrote behind the start of a higher one must not count."""

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server import database, fences
from sensorpipe_server.fences import KEPT, Fence, Line
from server_parts import batch_of, fence_message, fresh_database, one

numbers = st.integers(0, 20)


@given(st.lists(st.tuples(numbers, numbers), max_size=30), numbers, numbers)
def test_only_a_higher_epoch_at_a_lower_offset_shuts_out(added, epoch, offset):
    line = Line()
    for fenced_epoch, at in added:
        line.add(fenced_epoch, at)
    plain = any(fenced_epoch > epoch and at < offset for fenced_epoch, at in added)
    assert line.shuts_out(epoch, offset) == plain


def test_a_stalled_instance_does_not_count_after_the_fence():
    before, late = one([(1, 1.0)], number=1), one([(2, 2.0)], number=2)
    again = one([(2, 2.0)], epoch=2, number=1)
    batch = batch_of(before, fence_message(2), late, again)
    assert (batch.fenced, batch.redelivered) == (1, 0)
    (window,) = batch.windows.values()
    assert [part.record.offset for part in window.parts] == [0, 3]


def test_a_fence_concerns_its_own_compactor():
    batch = batch_of(fence_message(5, "other"), one([(1, 1.0)], epoch=1))
    assert batch.fenced == 0
    assert len(batch.windows) == 1


async def test_a_re_read_after_a_crash_decides_alike(mongod):
    messages = [one([(1, 1.0)], number=1), fence_message(2), one([(2, 2.0)], number=2)]
    async with fresh_database(mongod) as db:
        collection = database.fences(db)
        await fences.save(collection, batch_of(*messages).fences)
        lines = await fences.load(collection, "topic", 0)
        batch = batch_of(*messages, lines=lines)
        assert batch.fenced == 1
        (window,) = batch.windows.values()
        assert [part.record.offset for part in window.parts] == [0]

        behind = batch_of(one([(3, 1.0)], number=3), lines=lines, first_offset=3)
        assert behind.fenced == 1


async def test_fences_are_kept_by_partition_and_bounded(mongod):
    async with fresh_database(mongod) as db:
        collection = database.fences(db)
        many = [Fence("topic", 1, "a/b.$c", epoch, 10 * epoch) for epoch in range(1, KEPT + 21)]
        await fences.save(collection, many)
        await fences.save(collection, many[-2:])
        await fences.save(collection, [Fence("topic", 10, "c", 1, 7)])
        (entry,) = await collection.find({"compactor": "a/b.$c"}).to_list()
        assert [f["epoch"] for f in entry["fences"]] == list(range(21, KEPT + 21))
        assert set(await fences.load(collection, "topic", 1)) == {"a/b.$c"}
        assert set(await fences.load(collection, "topic", 10)) == {"c"}
        assert await fences.load(collection, "topic", 2) == {}


async def test_a_broker_that_began_again_at_offset_0_makes_old_fences_superfluous(mongod):
    async with fresh_database(mongod) as db:
        collection = database.fences(db)
        await fences.save(
            collection, [Fence("topic", 0, "c", 1, 5000), Fence("topic", 0, "c", 2, 9000)]
        )
        await fences.save(collection, [Fence("topic", 0, "c", 3, 4)])
        (entry,) = await collection.find({}).to_list()
        assert entry["fences"] == [{"epoch": 3, "offset": 4}]
        line = (await fences.load(collection, "topic", 0))["c"]
        assert not line.shuts_out(3, 6000)
        assert line.shuts_out(2, 5)
