"""Series are compressed, tagged and cached as other answers are, whether sent in pieces or not."""

import time

import pytest
from sensorpipe_server.api.http import conditional
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.rolling import Rolling
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

DAY_MS = 86_400_000
PATH = "/api/series?facility=facility_1&from=2024-11-14&to=2024-11-15"
FORMS = ["json", "csv", "ndjson"]


def windows(*days_ago):
    now_ms = int(time.time() * 1000)
    return [(now_ms - T0 - int(days * DAY_MS)) // 10_000 for days in days_ago]


@pytest.mark.parametrize("form", FORMS)
async def test_a_series_is_304_until_it_changes(db, client, form):
    await store(db, one([(1, 1.0)]))
    path = f"{PATH}&format={form}"
    first = await client.get(path)
    tag = {"If-None-Match": first.headers["etag"]}
    again = await client.get(path, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["sensorpipe-every"] == first.headers["sensorpipe-every"]
    await store(db, one([(2, 2.0)], window=1, number=2))
    assert (await client.get(path, headers=tag)).status_code == 200


async def test_forms_have_different_tags_and_caches_are_told_what_chose_them(db, client):
    await store(db, one([(1, 1.0)]))
    answers = [
        await client.get(PATH, headers={"Accept": accept})
        for accept in ("application/json", "text/csv", "application/x-ndjson")
    ]
    assert len({each.headers["etag"] for each in answers}) == 3
    for each in answers:
        assert "Accept" in each.headers["vary"].split(", ")


@pytest.mark.parametrize("form", FORMS)
async def test_a_series_too_large_to_hold_is_sent_as_it_is_made(db, client, monkeypatch, form):
    await store(db, *(one([(n, 0.1 * n)], window=n, number=n) for n in range(1, 2501)))
    path = f"{PATH}&every=10s&format={form}"
    held = await client.get(path)
    monkeypatch.setattr(conditional, "MAX_HELD_BYTES", 1000)
    sent = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "etag" not in sent.headers
    assert "content-length" not in sent.headers
    assert sent.headers["content-encoding"] == "gzip"
    assert sent.text == held.text
    assert sent.text.count("facility_1,temperature" if form == "csv" else "temperature") == 2500


async def test_a_series_that_can_never_change_is_immutable(db, client):
    old, older, newest = windows(9.5, 10, 0.01)
    await store(
        db, *(one([(n, 1.0)], window=at, number=n) for n, at in enumerate((older, old, newest), 1))
    )
    await Rolling(db, lambda: True, pace=Pace(1.0)).round()
    start, end = (T0 + at * 10_000 for at in windows(10.5, 9))
    query = f"every=1h&from={start}&to={end}"
    for facility, control in (
        ("facility_1", "public, max-age=31536000, immutable"),
        ("facility_*", "no-cache"),  # another facility may appear
        ("facility_1,facility_2", "no-cache"),  # nothing shows how far the server is with it
    ):
        answer = await client.get(f"/api/series?facility={facility}&{query}")
        assert len(answer.json()["data"]) == 2
        assert answer.headers["cache-control"] == control
    moving = await client.get("/api/series?facility=facility_1&every=1h&from=-11d&to=-9d")
    assert moving.headers["cache-control"] == "no-cache"
