"""What the server tells Prometheus of lost and duplicate readings and of silent facilities."""

import asyncio
import itertools
import random
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary
from sensorpipe_server.audit import audit as audits
from sensorpipe_server.audit import facility_history as histories
from sensorpipe_server.audit.audit import Audit
from sensorpipe_server.audit.facility_history import HORIZON_MS, History, Scan
from sensorpipe_server.audit.metrics import AuditMetrics
from sensorpipe_server.storage import queries
from sensorpipe_server.storage.documents import WindowKey, id_range
from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.source_seqs import Settling
from support.exact_audit import ExactAudit
from support.server_parts import NOW as STORED_AT
from support.server_parts import T0, fresh_database, one, store
from support.waiting import eventually

NOW = T0 / 1000 + 3600
WINDOW_MS = 10_000
LONG_AGO = datetime.fromtimestamp(NOW - 3600, UTC)


def stored(start: int, received_at: datetime = LONG_AGO, **sources: list[int]) -> Window:
    """Return a window of one sensor that has the intervals of these sources."""
    summary = SensorSummary(sensor="s", count=10_000)
    for src, bounds in sources.items():
        summary.sources.add(src=src, bounds=bounds)
    key = WindowKey("f", start * WINDOW_MS, WINDOW_MS)
    return Window(key, received_at, {"s": [summary]})


def look(
    history: History,
    windows,
    *,
    everything: bool = False,
    before: Iterable[str] = (),
    now: float = NOW,
) -> None:
    made = Scan(history.newest_ms, Settling(), now)
    newest_first = sorted(windows, key=lambda window: window.key, reverse=True)
    made.add(
        window
        for window in newest_first
        if everything or window.key.start_ms >= history.boundary_ms
    )
    if everything:
        history.replace(made, frozenset(("s", src) for src in before))
    else:
        history.add(made)


def history_of(windows) -> History:
    return History(max(window.key.start_ms for window in windows))


def test_a_gap_counts_once_a_look_at_everything_saw_it():
    windows = [stored(1, a=[1, 10]), stored(2, a=[12, 20])]
    history = history_of(windows)
    look(history, windows)
    assert (history.lost, history.needs_full_scan) == (0, True)
    look(history, windows, everything=True)
    assert (history.lost, history.needs_full_scan) == (1, False)


def test_a_gap_that_may_still_fill_up_counts_later():
    just_now = datetime.fromtimestamp(NOW - 1, UTC)
    windows = [stored(1, a=[1, 10]), stored(2, just_now, a=[12, 20])]
    history = history_of(windows)
    for everything in (False, True, False, True):
        look(history, windows, everything=everything)
        assert (history.lost, history.needs_full_scan) == (0, False)
    look(history, windows, now=NOW + 60)
    assert (history.lost, history.needs_full_scan) == (0, True)
    look(history, windows, everything=True, now=NOW + 60)
    assert (history.lost, history.needs_full_scan) == (1, False)


def test_what_is_missing_from_1_on_is_lost_except_of_those_that_began_before():
    windows = [stored(1, a=[4, 10], b=[3, 5])]
    history = history_of(windows)
    look(history, windows, everything=True, before="b")
    assert history.lost == 3
    look(history, windows)
    assert (history.lost, history.needs_full_scan) == (3, False)
    windows.append(stored(2, c=[2, 2]))
    look(history, windows)
    assert (history.lost, history.needs_full_scan) == (3, True)


def test_a_gap_that_fills_up_is_forgotten_at_the_next_look():
    windows = [stored(1, a=[1, 10]), stored(2, a=[12, 20])]
    history = history_of(windows)
    for everything in (False, True):
        look(history, windows, everything=everything)
    assert history.lost == 1
    look(history, [*windows, stored(3, a=[11, 11])])
    assert history.lost == 0


def test_a_reading_that_comes_late_into_an_old_window_is_not_called_lost():
    far = HORIZON_MS // WINDOW_MS * 3
    windows = {1: stored(1, a=[1, 10])} | {n: stored(n, a=[10 * n + 1, 10 * n + 10]) for n in (2,)}
    history = history_of(windows.values())
    look(history, windows.values())
    windows[far] = stored(far, a=[41, 50])
    look(history, windows.values())
    windows[1] = stored(1, a=[1, 20])
    windows[2] = stored(2, a=[21, 40])
    look(history, windows.values())
    look(history, windows.values())
    assert (history.lost, history.needs_full_scan) == (0, True)
    look(history, windows.values(), everything=True)
    look(history, windows.values())
    assert (history.lost, history.needs_full_scan) == (0, False)


def test_duplicates_count_at_once_also_across_windows_that_are_settled():
    far = HORIZON_MS // WINDOW_MS * 2
    windows = [stored(1, a=[1, 10, 10, 10])]
    history = history_of(windows)
    look(history, windows)
    assert history.duplicates == 1
    windows.append(stored(far, a=[11, 20]))
    look(history, windows)
    windows.append(stored(far + 1, a=[1, 2]))
    look(history, windows)
    look(history, windows)
    assert history.duplicates == 3


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_what_an_exact_audit_finds(seed):
    rng = random.Random(seed)
    seqs = [seq for seq in range(1, 2001) if rng.random() > 0.01]
    seqs += rng.sample(seqs, rng.randrange(5))
    held: dict[int, list[int]] = {}
    for seq in seqs:
        held.setdefault(seq // 10 + rng.choice((0, 0, 0, 1)), []).append(seq)
    windows: list[Window] = []
    history = History(0)
    for start in sorted(held):
        windows.append(
            stored(start, a=[bound for seq in sorted(held[start]) for bound in (seq,) * 2])
        )
        if start % 7 == 0:
            look(history, windows)
    for everything in (False, True, False):
        look(history, windows, everything=everything)
    exact = ExactAudit.of([(seq, seq) for seq in seqs])
    assert (history.lost, history.duplicates) == (exact.lost, exact.duplicates)


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


async def test_the_audit_counts_from_1_where_a_source_began_within_the_day(mongod):
    async with fresh_database(mongod) as db:
        day = 24 * 360
        await store(
            db,
            one([(1, 1.0)], "device", window=0),
            one([(100, 1.0)], "device", window=day - 60, number=2),  # began before
            one([(3, 1.0)], "run", window=day, number=3),  # 1 and 2 are lost
            one([(5, 1.0)], facility="new", window=day, number=4),
        )
        audit = Audit(db, lambda: True, clock=lambda: NOW + 24 * 3600)
        for _ in range(2):
            await audit.round()
            assert audit.findings is not None
            assert audit.findings.lost == 2 + 4


async def test_a_source_whose_beginning_only_rollups_have_began_before(mongod):
    async with fresh_database(mongod) as db:
        await store(
            db,
            one([(1, 1.0)], "device", window=0),
            one([(1, 1.0)], "run", window=400, number=2),
            one([(100, 1.0)], "device", window=500, number=3),
            one([(3, 1.0)], "new", window=500, number=4),  # 1 and 2 are lost
        )
        later = STORED_AT.timestamp() + 3 * 3600
        await Rolling(db, lambda: True, clock=lambda: later, pace=Pace(1.0)).round()
        await database.windows(db).delete_many({"_id": id_range("facility_1", 0, T0 + 10_000)})
        audit = Audit(db, lambda: True, clock=lambda: NOW + 24 * 3600)
        await audit.round()
        assert audit.findings is not None
        assert (audit.findings.audited, audit.findings.lost) == (1, 2)


async def test_a_source_that_cannot_be_looked_for_in_time_may_have_begun_before(
    mongod, monkeypatch
):
    monkeypatch.setattr(audits, "SHARE_SECONDS", 1.5)
    async with fresh_database(mongod) as db:
        day = 24 * 360
        await store(db, one([(1, 1.0)], window=0), one([(3, 1.0)], "run", window=day, number=2))
        seconds = itertools.count()
        audit = Audit(db, lambda: True, clock=lambda: NOW + 24 * 3600, timer=lambda: next(seconds))
        await audit.round()
        assert audit.findings is not None
        assert (audit.findings.audited, audit.findings.lost) == (1, 0)


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
            assert len(audit._histories) == at
        assert audit._histories.keys() == names
        for _ in range(5):
            await audit.round()
        assert audit.findings is not None
        assert audit.findings.audited == 5


async def test_what_is_remembered_is_bounded(mongod, monkeypatch):
    monkeypatch.setattr(audits, "MAX_TOTAL_INTERVALS", 1)
    async with fresh_database(mongod) as db:
        far = HORIZON_MS // WINDOW_MS + 1
        await store(db, one([(1, 1.0)]), one([(2, 1.0)], window=far, number=2))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        await store(db, one([(1, 1.0)], facility="more"))
        await audit.round()
        assert audit._histories.keys() == {"facility_1"}


async def test_facilities_that_have_just_become_known_count_too(mongod, monkeypatch):
    monkeypatch.setattr(audits, "MAX_TOTAL_INTERVALS", 2)
    async with fresh_database(mongod) as db:
        await store(db, *(one([(1, 1.0)], facility=f"f{n}") for n in range(5)))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        for _ in range(2):
            await audit.round()
        assert audit._histories.keys() == {"f0", "f1"}


async def test_what_a_day_of_silence_has_ended_takes_no_room(mongod):
    async with fresh_database(mongod) as db:
        far = HORIZON_MS // WINDOW_MS + 1
        await store(db, one([(1, 1.0)], "former"), one([(1, 1.0)], "latter", window=far, number=2))
        now = NOW
        audit = Audit(db, lambda: True, clock=lambda: now)
        await audit.round()
        assert audit._intervals == 2
        now += 24 * 3600
        await audit.round()
        assert audit._intervals == 1


async def test_a_day_with_too_many_gaps_is_looked_at_in_part(mongod, monkeypatch):
    monkeypatch.setattr(histories, "MAX_INTERVALS", 10)
    monkeypatch.setattr(queries, "BATCH", 2)
    async with fresh_database(mongod) as db:
        await store(db, *(one([(2 * n, 1.0)], window=n, number=n + 1) for n in range(1, 101)))
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        await audit.round()
        assert audit.findings is not None
        assert 0 < audit.findings.lost < 10
        assert audit._intervals < 10


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
        await eventually(lambda: any("audit is waiting" in line for line in caplog.messages))
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_documents_that_are_none_of_ours_hide_nothing_and_are_reported(mongod, caplog):
    queries.throttled.reset()
    async with fresh_database(mongod) as db:
        await store(
            db,
            one([(1, 1.0)]),
            one([(1, 1.0), (3, 1.0)], facility="other"),
            one([(1, 1.0), (3, 1.0)], facility="spoilt", window=1, number=2),
        )
        foreign = ({"_id": "facility_1/x", "sensors": 1}, {"_id": f"spoilt/{T0:015d}/10000/1/1"})
        await database.windows(db).insert_many(foreign)
        audit = Audit(db, lambda: True, clock=lambda: NOW)
        for _ in range(2):
            await audit.round()
        assert audit.findings is not None
        assert (audit.findings.facilities, audit.findings.lost) == (3, 2)
        (told,) = {line for line in caplog.messages if "cannot be read" in line}
        assert "unreadable" in told
