"""Which partials of a window are put together, and in what."""

import pytest
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.partial import read
from sensorpipe_server.storage.documents import Document, WindowKey, document
from sensorpipe_server.storage.fold import fold
from sensorpipe_server.storage.rollups import folding as module
from sensorpipe_server.storage.rollups.folding import Folding, folding
from sensorpipe_server.storage.rollups.totals import rollup_of_windows
from support.server_parts import NOW, T0, one

KEY = WindowKey("facility_1", T0, 10_000)


def stored(number: int, run: int = 1) -> Document:
    """Return the document of a partial with one reading."""
    data = one([(number, float(number))], run=run, number=number)
    return document(read(data), data, NOW)


def holds(made: Document) -> list[tuple[int, list[int]]]:
    """Return by run which numbers a folded document holds."""
    message = CompactedReading.FromString(made["partial"])
    return [(held.run, list(held.bounds)) for held in message.holds]


def test_few_partials_stay_as_they_are():
    assert folding(KEY, [stored(n) for n in (1, 2, 3)]) == Folding()


def test_many_become_one_document_that_names_them():
    parts = [stored(1), stored(2), stored(4), stored(9, run=2)]
    found = folding(KEY, parts)
    made = found.written
    assert made is not None
    assert made["_id"] == f"{KEY}/folded"
    assert (made["rev"], made["received_at"]) == (1, NOW)
    assert made["sensors"]["temperature"]["count"] == 4
    assert holds(made) == [(1, [1, 2, 4, 4]), (2, [9, 9])]
    assert found.obsolete == [part["_id"] for part in parts]
    before, after, both = fold(KEY, parts), fold(KEY, [made]), fold(KEY, [*parts, made])
    assert before is not None
    assert after is not None
    assert after == both
    assert rollup_of_windows([after]) == rollup_of_windows([before])


def test_more_of_them_are_put_into_the_same_document():
    made = folding(KEY, [stored(n) for n in range(1, 5)]).written
    assert made is not None
    more = [stored(n) for n in range(4, 9)]  # 4 was delivered again
    found = folding(KEY, [*more, made])
    assert found.written is not None
    assert found.written["rev"] == 2
    assert holds(found.written) == [(1, [1, 8])]
    assert found.obsolete == [part["_id"] for part in more]


def test_what_is_held_already_is_removed_however_few_there_are():
    made = folding(KEY, [stored(n) for n in range(1, 5)]).written
    assert made is not None
    assert folding(KEY, [stored(3), stored(8), made]) == Folding(None, [stored(3)["_id"]])


def test_wrong_and_itemized_partials_stay_as_they_are():
    wrong = stored(5)
    message = CompactedReading.FromString(wrong["partial"])
    message.sensors[0].sketch.zeros = 3
    wrong["partial"] = message.SerializeToString()
    unsure = {**stored(6), "itemized": True}
    unreadable = {**stored(7), "partial": b"\xff"}
    assert folding(KEY, [stored(1), stored(2), stored(3), wrong, unsure, unreadable]) == Folding()
    found = folding(KEY, [*(stored(n) for n in (1, 2, 3, 4)), wrong, unsure])
    assert found.obsolete == [stored(n)["_id"] for n in (1, 2, 3, 4)]


def test_what_would_be_too_large_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    parts = [stored(n) for n in range(1, 6)]
    monkeypatch.setattr(module, "MAX_BYTES", sum(len(part["partial"]) for part in parts))
    assert folding(KEY, parts) == Folding()
    assert folding(KEY, parts[:4]).written is not None


def test_what_an_unreadable_folded_document_holds_nobody_knows():
    made = folding(KEY, [stored(n) for n in range(1, 5)]).written
    assert made is not None
    assert folding(KEY, [*(stored(n) for n in range(9, 15)), {**made, "partial": b"\xff"}]) == (
        Folding()
    )
