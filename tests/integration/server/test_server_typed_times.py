"""`from` and `to` choose the same windows however a time is written."""

from datetime import UTC, datetime

import pytest
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]


def starts(answer):
    assert answer.status_code == 200, answer.text
    return [item["window"]["start_time"] for item in answer.json()["data"]]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-11-14T16:00:10Z", "2024-11-14T16:00:30Z"),
        ("1731600010", "1731600030"),
        ("1731600010000", "1731600030000"),
        ("1731600009.000001", "1731600029.5"),
    ],
)
async def test_seconds_milliseconds_and_rfc_3339_are_the_same_range(db, client, start, end):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(5)))
    path = f"/api/sensors/facility_1?from={start}&to={end}"
    assert starts(await client.get(path)) == ["2024-11-14T16:00:20Z", "2024-11-14T16:00:10Z"]
    (entry,) = (await client.get(f"/api/stats?sensors=temperature&from={start}&to={end}")).json()
    assert entry["temperature"]["count"] == 2


async def test_a_date_begins_at_midnight_utc(db, client):
    await store(db, one([(1, 1.0)]))
    path = "/api/sensors/facility_1"
    assert len(starts(await client.get(f"{path}?from=2024-11-14&to=2024-11-15"))) == 1
    assert starts(await client.get(f"{path}?to=2024-11-14")) == []


async def test_the_last_hour_is_up_to_now(db, client):
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    recent = (now_ms - 1_800_000 - T0) // 10_000
    await store(db, one([(1, 1.0)]), one([(2, 1.0)], window=recent, number=2))
    path = "/api/sensors/facility_1"
    assert len(starts(await client.get(f"{path}?from=-1h&to=now"))) == 1
    assert starts(await client.get(f"{path}?from=now-15m")) == []
    assert len(starts(await client.get(f"{path}?to=-1h"))) == 1


async def test_all_wrong_times_are_named(client):
    answer = await client.get("/api/stats?sensors=a&from=20260102&to=-15")
    assert answer.status_code == 400
    assert [error.partition(":")[0] for error in answer.json()["errors"]] == [
        "Invalid from", "Invalid to"
    ]  # fmt: skip
