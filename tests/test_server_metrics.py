"""What the server tells Prometheus of lost and doubled readings and of silent facilities."""

import asyncio
import itertools
import random

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sensorpipe_schema.intervals import Audit as Exact
from sensorpipe_server import audit as audits
from sensorpipe_server import database
from sensorpipe_server import trail as trails
from sensorpipe_server.api import reads
from sensorpipe_server.audit import Audit
from sensorpipe_server.metrics import AuditMetrics
from sensorpipe_server.store import Store
from sensorpipe_server.trail import HORIZON_MS, Look, Trail
from server_parts import T0, batch_of, fresh_database, one

NOW = T0 / 1000 + 3600
WINDOW_MS = 10_000


def stored(start: int, **sources: list[int]):
    """Return a window as it is stored, as far as the audit looks at it."""
    listed = [{"src": src, "seq": seq} for src, seq in sources.items()]
    return {"_id": f"f/{start * WINDOW_MS:015d}/10000", "sensors": {"s": {"sources": listed}}}


def look(trail: Trail, windows, *, everything: bool = False) -> None:
    made = Look(trail.newest_ms)
    newest_first = sorted(windows, key=lambda window: window["_id"], reverse=True)
    made.add(
        window
        for window in newest_first
        if everything or int(window["_id"].split("/")[1]) >= trail.boundary_ms
    )
    if everything:
        trail.take_all(made, 1.0)
    else:
        trail.take(made)


def trail_of(windows) -> Trail:
    newest = max(int(window["_id"].split("/")[1]) for window in windows)
    return Trail(newest)


def test_a_gap_counts_once_two_looks_and_one_at_everything_saw_it():
    windows = [stored(1, a=[1, 10]), stored(2, a=[12, 20])]
    trail = trail_of(windows)
    look(trail, windows)
    assert (trail.lost, trail.suspicious) == (0, False)
    look(trail, windows)
    assert (trail.lost, trail.suspicious) == (0, True)
    look(trail, windows, everything=True)
    assert (trail.lost, trail.suspicious) == (1, False)


def test_a_gap_that_fills_up_is_forgotten_at_the_next_look():
    windows = [stored(1, a=[1, 10]), stored(2, a=[12, 20])]
    trail = trail_of(windows)
    for everything in (False, True):
        look(trail, windows, everything=everything)
    assert trail.lost == 1
    look(trail, [*windows, stored(3, a=[11, 11])])
    assert trail.lost == 0


def test_a_reading_that_comes_late_into_an_old_window_is_not_called_lost():
    far = HORIZON_MS // WINDOW_MS * 3
    windows = {1: stored(1, a=[1, 10])} | {n: stored(n, a=[10 * n + 1, 10 * n + 10]) for n in (2,)}
    trail = trail_of(windows.values())
    look(trail, windows.values())
    windows[far] = stored(far, a=[41, 50])
    look(trail, windows.values())
    windows[1] = stored(1, a=[1, 20])
    windows[2] = stored(2, a=[21, 40])
    look(trail, windows.values())
    look(trail, windows.values())
    assert (trail.lost, trail.suspicious) == (0, True)
    look(trail, windows.values(), everything=True)
    look(trail, windows.values())
    assert (trail.lost, trail.suspicious) == (0, False)


def test_duplicates_count_at_once_also_across_windows_that_are_settled():
    far = HORIZON_MS // WINDOW_MS * 2
    windows = [stored(1, a=[1, 10, 10, 10])]
    trail = trail_of(windows)
    look(trail, windows)
    assert trail.duplicates == 1
    windows.append(stored(far, a=[11, 20]))
    look(trail, windows)
    windows.append(stored(far + 1, a=[1, 2]))
    look(trail, windows)
    look(trail, windows)
    assert trail.duplicates == 3


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_what_an_exact_audit_finds(seed):
    rng = random.Random(seed)
    seqs = [seq for seq in range(1, 2001) if rng.random() > 0.01]
    seqs += rng.sample(seqs, rng.randrange(5))
    held: dict[int, list[int]] = {}
    for seq in seqs:
        held.setdefault(seq // 10 + rng.choice((0, 0, 0, 1)), []).append(seq)
    windows: list[dict[str, object]] = []
    trail = Trail(0)
    for start in sorted(held):
        windows.append(
            stored(start, a=[bound for seq in sorted(held[start]) for bound in (seq,) * 2])
        )
        if start % 7 == 0:
            look(trail, windows)
    for everything in (False, True, False):
        look(trail, windows, everything=everything)
    exact = Exact.of([(seq, seq) for seq in seqs])
    assert (trail.lost, trail.duplicates) == (exact.lost, exact.duplicates)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_missing_twice_is_counted_by_number(seed):
    rng = random.Random(seed)

    def intervals():
        bounds = sorted(rng.sample(range(60), 2 * rng.randrange(8)))
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def numbers(made):
        return {number for first, last in made for number in range(first, last + 1)}

    some, others = intervals(), intervals()
    assert trails.in_both(some, others) == len(numbers(some) & numbers(others))


async def store(db, *messages: bytes) -> None:
    await Store(db).write(batch_of(*messages).windows)


def scraped(audit: Audit) -> str:
    registry = CollectorRegistry()
    registry.register(AuditMetrics(lambda: audit.findings))
    return generate_latest(registry).decode()


async def test_the_audit_counts_over_all_facilities(mongod):
    async with fresh_database(mongod) as db:
        await store(
            db,
            one([(1, 1.0), (2, 1.0)], facility="whole"),
            one([(1, 1.0), (3, 1.0)], facility="holed"),
            one([(1, 1.0)], facility="twice", window=1),
            one([(1, 1.0)], facility="twice", window=2, number=2),
        )
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        for _ in range(2):
            await audit.round()
        found = audit.findings
        assert found is not None
        assert (found.lost, found.duplicates) == (1, 1)
        assert (found.facilities, found.audited) == (3, 3)
        text = scraped(audit)
        assert "sensorpipe_server_lost_readings 1.0" in text
        assert "sensorpipe_server_duplicate_readings 1.0" in text


async def test_a_silent_facility_is_named_with_its_age_until_a_day_has_passed(mongod):
    async with fresh_database(mongod) as db:
        await store(
            db, one([(1, 1.0)], facility="old"), one([(1, 1.0)], facility="new", window=360)
        )
        now = NOW
        audit = Audit(db, lambda: True, clock=lambda: now)
        await audit.round()
        assert audit.findings is not None
        assert audit.findings.longest_silent == {"old": 3600.0}
        assert 'facility_silence_seconds{facility="old"} 3600.0' in scraped(audit)
        await store(db, one([(2, 1.0)], facility="old", window=360, number=2))
        await audit.round()
        assert audit.findings.longest_silent == {}
        now += 24 * 3600 + 1
        await audit.round()
        assert audit.findings.facilities == 0


async def test_only_so_many_silent_facilities_are_named(mongod, monkeypatch):
    monkeypatch.setattr(audits, "MAX_SILENT", 2)
    async with fresh_database(mongod) as db:
        await store(db, *(one([(1, 1.0)], facility=f"f{n}", window=n) for n in range(5)))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        assert audit.findings is not None
        assert set(audit.findings.longest_silent) == {"f0", "f1"}
        assert audit.findings.silent == 5


async def test_rounds_that_run_out_of_time_take_turns(mongod, monkeypatch):
    monkeypatch.setattr(audits, "SHARE_SECONDS", 1.0)
    async with fresh_database(mongod) as db:
        names = {f"f{n}" for n in range(5)}
        await store(db, *(one([(1, 1.0)], facility=name) for name in names))
        # each look at the clock takes as long as a share: one facility in each round
        seconds = itertools.count()
        audit = Audit(db, lambda: True, clock=lambda: NOW, timer=lambda: next(seconds))
        for at in range(1, 6):
            await audit.round()
            assert len(audit._trails) == at
        assert audit._trails.keys() == names
        for _ in range(5):
            await audit.round()
        assert audit.findings is not None
        assert audit.findings.audited == 5


async def test_what_is_remembered_is_bounded(mongod, monkeypatch):
    monkeypatch.setattr(audits, "MAX_REMEMBERED", 1)
    async with fresh_database(mongod) as db:
        far = HORIZON_MS // WINDOW_MS + 1
        await store(db, one([(1, 1.0)]), one([(2, 1.0)], window=far, number=2))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        await store(db, one([(1, 1.0)], facility="more"))
        await audit.round()
        assert audit._trails.keys() == {"facility_1"}


async def test_facilities_that_have_just_become_known_count_too(mongod, monkeypatch):
    monkeypatch.setattr(audits, "MAX_REMEMBERED", 2)
    async with fresh_database(mongod) as db:
        await store(db, *(one([(1, 1.0)], facility=f"f{n}") for n in range(5)))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        for _ in range(2):
            await audit.round()
        assert audit._trails.keys() == {"f0", "f1"}


async def test_what_a_day_of_silence_has_ended_takes_no_room(mongod):
    async with fresh_database(mongod) as db:
        far = HORIZON_MS // WINDOW_MS + 1
        await store(db, one([(1, 1.0)], "former"), one([(1, 1.0)], "latter", window=far, number=2))
        now = NOW
        audit = Audit(db, lambda: True, clock=lambda: now)
        await audit.round()
        assert audit._remembered == 2
        now += 24 * 3600
        await audit.round()
        assert audit._remembered == 1


async def test_a_day_with_too_many_gaps_is_looked_at_in_part(mongod, monkeypatch):
    monkeypatch.setattr(trails, "MAX_PIECES", 10)
    monkeypatch.setattr(reads, "BATCH", 2)
    async with fresh_database(mongod) as db:
        await store(db, *(one([(2 * n, 1.0)], window=n, number=n + 1) for n in range(1, 101)))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        assert audit.findings is not None
        assert 0 < audit.findings.lost < 10
        assert audit._remembered < 10


async def test_a_facility_that_is_not_looked_at_in_time_is_not_called_silent(mongod, monkeypatch):
    monkeypatch.setattr(audits, "SHARE_SECONDS", 1.0)
    async with fresh_database(mongod) as db:
        now, seconds = NOW, itertools.count()
        audit = Audit(db, lambda: True, clock=lambda: now, timer=lambda: next(seconds))
        for at in range(4):
            now = NOW + 90 * at
            window = 360 + 9 * at
            await store(
                db,
                *(
                    one([(at + 1, 1.0)], facility=name, window=window, number=at + 1)
                    for name in ("one", "two")
                ),
            )
            await audit.round()  # looks at one of them
            assert audit.findings is not None
            assert audit.findings.silent == 0
        assert audit.findings is not None
        assert audit.findings.facilities == 2


async def test_only_the_server_whose_turn_it_is_looks(mongod):
    async with fresh_database(mongod) as db:
        await store(db, one([(1, 1.0)]))
        turns = iter((True, False))
        audit = Audit(db, lambda: next(turns), clock=lambda: NOW)
        await audit.round()
        assert "lost_readings 0.0" in scraped(audit)
        await audit.round()
        assert scraped(audit) == ""


async def test_it_goes_on_when_mongodb_is_away(monkeypatch, caplog):
    monkeypatch.setattr(audits, "ROUND_SECONDS", 0.0)
    async with database.connect("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50") as client:
        running = asyncio.create_task(Audit(database.database(client), lambda: True).run())
        async with asyncio.timeout(20):
            while not any("audit must wait" in line for line in caplog.messages):  # noqa: ASYNC110  no event
                await asyncio.sleep(0.02)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_document_that_is_none_of_ours_stops_nothing(mongod, monkeypatch, caplog):
    monkeypatch.setattr(audits, "ROUND_SECONDS", 0.0)
    async with fresh_database(mongod) as db:
        await store(db, one([(1, 1.0)]))
        await database.windows(db).insert_one({"_id": "facility_1/x", "sensors": 1})
        running = asyncio.create_task(Audit(db, lambda: True).run())
        async with asyncio.timeout(20):
            while not any("audit failed" in line for line in caplog.messages):  # noqa: ASYNC110  no event
                await asyncio.sleep(0.02)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_document_that_is_none_of_ours_hides_no_other_facility(mongod):
    async with fresh_database(mongod) as db:
        await store(
            db,
            one([(1, 1.0)]),
            one([(1, 1.0), (3, 1.0)], facility="other"),
            one([(1, 1.0)], facility="spoilt", window=1, number=2),
        )
        await database.windows(db).insert_one({"_id": "facility_1/x", "sensors": 1})
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        spoilt = stored(T0 // WINDOW_MS, a=[1, 2])["_id"].replace("f/", "spoilt/", 1)
        await database.windows(db).insert_one({"_id": spoilt, "sensors": {"temperature": 1}})
        for _ in range(2):
            await audit.round()
        assert audit.findings is not None
        assert audit.findings.lost == 1
