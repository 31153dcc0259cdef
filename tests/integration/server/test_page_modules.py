"""The page's modules without a page: what they make of streams, rows and answers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from playwright.async_api import Page
from support.browser import browser_page, site_of

pytest_plugins = ["support.server_fixtures"]

STREAM = (
    'retry: 1500\n\n: heartbeat\n\nid: a\nevent: window\ndata: {"x":1}\n\n'
    "id: b\r\nevent: gap\r\ndata: one\r\ndata: two\r\n\r\ndata:bare\n\n"
    ": heartbeat\nid: c\n\nid\ndata\n\nevent: none"
)  # fmt: skip
EVENTS = [
    {"type": "message", "data": "", "id": "", "retry": 1500},
    {"type": "window", "data": '{"x":1}', "id": "a", "retry": None},
    {"type": "gap", "data": "one\ntwo", "id": "b", "retry": None},
    {"type": "message", "data": "bare", "id": "b", "retry": None},
    {"type": "message", "data": "", "id": "c", "retry": None},
    {"type": "message", "data": "", "id": "", "retry": None},
]
"""What is in it, and nothing of the last event, which is not complete."""


MODULES = ("live", "series", "format", "integrity", "operations", "request")


class Modules:
    """The modules in a browser; called with JavaScript it runs that, with them at hand as `m`."""

    def __init__(self, page: Page, folder: str) -> None:
        self.page = page
        self._imports = ", ".join(f'import("{folder}/{name}.js")' for name in MODULES)

    async def __call__(self, code: str, argument: object = None) -> Any:
        made = f"const m = Object.assign({{}}, ...await Promise.all([{self._imports}])); {code}"
        return await self.page.evaluate(f"async (argument) => {{ {made} }}", argument)


@pytest.fixture
async def run(db):
    async with site_of(db) as site, browser_page() as (page, messages):
        folder = f"{site.url}page/{await _version(page, site.url)}"
        await page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        await page.goto(f"{folder}/uplot/LICENSE")
        yield Modules(page, folder)
        assert messages == []


async def _version(page, url):
    text = await (await page.request.get(url)).text()
    return text.partition('"page/')[2].partition("/")[0]


async def test_events_are_read_however_the_stream_is_cut(run):
    found = await run(
        """
        const read = (pieces) => {
          const parse = m.eventParser();
          return pieces.flatMap((piece) => [...parse(piece)]);
        };
        const at = (i) => read([argument.slice(0, i), argument.slice(i)]);
        return [[...argument], ...[...argument].map((_, i) => i)].map(
          (cut) => Array.isArray(cut) ? read(cut) : at(cut));
        """,
        STREAM,
    )
    assert len(found) == len(STREAM) + 1
    assert [each for each in found if each != EVENTS] == []


def row(second, avg, *, count=5, complete=True):
    return {
        "time": f"2026-11-27T10:00:{second:02}Z", "facility": "f", "sensor": "s",
        "avg": avg, "min": avg - 1, "max": avg + 1, "count": count, "complete": complete,
    }  # fmt: skip


SERIES = "const s = new m.Series(10_000); s.take(argument); "


async def test_a_missing_bucket_is_a_gap_and_an_open_one_is_a_line_of_its_own(run):
    rows = [row(0, 1.0), row(10, 2.0), row(40, 3.0), row(50, 4.0, complete=False)]
    start, *columns = await run(
        SERIES + "const [t, ...c] = s.columns('s'); return [t[0], t.map((x) => x - t[0]), ...c]",
        rows,
    )
    assert start == 1795773600
    assert columns == [
        [0, 10, 20, 40, 50],
        [1.0, 2.0, None, 3.0, None],
        [None, None, None, 3.0, 4.0],
        [0.0, 1.0, None, 2.0, 3.0],
        [2.0, 3.0, None, 4.0, 5.0],
    ]


async def test_an_older_answer_never_replaces_a_newer_one(run):
    code = SERIES + "return s.rows('s').map((row) => [row.avg, row.count, row.complete])"
    newer, older = row(0, 2.0, count=9), row(0, 1.0, count=5, complete=False)
    assert await run(code, [newer, older]) == [[2.0, 9, True]]
    assert await run(code, [older, newer]) == [[2.0, 9, True]]
    assert await run(code, [row(0, 1.0, complete=False), row(0, 1.0)]) == [[1.0, 5, True]]
    assert await run(code, [row(0, 1.0), row(0, 1.0, complete=False)]) == [[1.0, 5, True]]


async def test_a_window_is_taken_only_where_buckets_are_as_long(run):
    item = {
        "facility_name": "f", "complete": True, "received_at": "2026-11-27T10:00:13Z",
        "window": {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"},
        "avg_s": 2.0, "min_s": 1.0, "max_s": 3.0, "stdev_s": 0.5, "count_s": 50,
    }  # fmt: skip
    code = (
        "const s = new m.Series({}); const taken = s.takeWindow(argument); "
        "return [taken, s.rows('s').map(({{avg, min, max, count}}) => [avg, min, max, count])]"
    )
    assert await run(code.format("10_000"), item) == [True, [[2.0, 1.0, 3.0, 50]]]
    assert await run(code.format("60_000"), item) == [False, []]


async def test_reading_goes_on_from_the_oldest_bucket_that_may_change(run):
    code = SERIES + "return new Date(s.openSince(0)).toISOString()"
    open_ = [row(0, 1.0), row(10, 2.0, complete=False), row(20, 2.0)]
    assert await run(code, open_) == "2026-11-27T10:00:10.000Z"
    assert await run(code, open_[::2]) == "2026-11-27T10:00:30.000Z"
    assert await run(code, []) == "1970-01-01T00:00:00.000Z"


async def test_a_summary_weighs_averages_by_their_readings(run):
    code = SERIES + "const {avg, min, max, count, last} = m.summary(s.rows('s')); "
    rows = [row(0, 1.0, count=30), row(10, 3.0, count=10)]
    found = await run(code + "return [avg, min, max, count, last.avg]", rows)
    assert found == [1.5, 0.0, 4.0, 40, 3.0]
    assert await run("return m.summary([])") is None


async def test_durations_numbers_and_ages_read_well(run):
    code = "return argument.map((text) => m.durationMs(text))"
    assert await run(code, ["10s", "5m", "1h30m", "500ms", "7d"]) == [
        10_000, 300_000, 5_400_000, 500, 604_800_000,
    ]  # fmt: skip
    code = "return argument.map((value) => m.number(value))"
    assert await run(code, [21.300001, 0, -0.00001, 1234567.8, 2.5e12, None]) == [
        "21.3", "0", "-1.000e-5", "1,234,568", "2.500e+12", "\N{EN DASH}",
    ]  # fmt: skip
    code = "return argument.map((seconds) => m.age(seconds * 1000))"
    assert await run(code, [-3, 4, 200, 7200, 400_000]) == ["0 s", "4 s", "3 min", "2 h", "5 d"]


async def test_the_verdict_names_every_fault(run):
    totals = dict.fromkeys(("count", "unidentified", "lost", "duplicates", "unreadable"), 0)
    aside = {"dead_letters": None, "refused": None, "fenced": 0}

    async def verdict(**changed):
        answer = {"totals": totals | changed, "set_aside": aside}
        return await run("return m.verdict(argument)", answer)

    assert await verdict(count=9) == ["good", "Every reading is stored exactly once"]
    assert await verdict(count=9, pending=5) == ["good", "Every reading is stored exactly once"]
    assert await verdict(count=9, lost=1200, duplicates=2, unreadable=1) == [
        "bad", "Not every reading is stored exactly once: 1,200 lost, 2 duplicate, 1 unreadable",
    ]  # fmt: skip
    assert (await verdict())[0] == "none"
    assert (await verdict(unidentified=3))[0] == "none"
    assert (await run(
        "return m.verdict(argument)",
        {"totals": totals | {"count": 1}, "set_aside": aside | {"refused": 4}},
    ))[0] == "bad"  # fmt: skip


async def test_a_curl_line_survives_the_shell(run):
    url = await run("return m.curlLine(m.address('api/x', {a: \"it's & $HOME `x`\", b: ''}))")
    assert url.startswith("curl -sS 'http://127.0.0.1:")
    assert url.endswith("/api/x?a=it%27s+%26+%24HOME+%60x%60'")


async def test_a_stream_that_ends_goes_on_behind_its_last_event(run):
    bodies = [
        'retry: 1\n\nid: a\nevent: window\ndata: {"n": 1}\n\nid: lost\nevent: window\ndata: {',
        'id: b\nevent: gap\ndata: {"reason": "too slow"}\n\n',
        "",
    ]
    resumed = []

    async def answer(route):
        resumed.append(route.request.headers.get("last-event-id"))
        body = bodies[len(resumed) - 1]
        await route.fulfill(status=200, content_type="text/event-stream", body=body)

    await run.page.route("**/api/live", answer)
    found = await run(
        """
        const found = [];
        const live = new m.Live(m.address("api/live"), {
          open: async () => found.push("open"),
          event: async (type, data) => found.push([type, data]),
          poll: async () => {},
          status: (name) => {
            found.push(name);
            if (found.filter((one) => one === "live").length === 3) live.stop();
          },
        });
        await live.run();
        return found;
        """
    )
    assert resumed == [None, "a", "b"]
    assert found == [
        "open", "live", ["window", {"n": 1}], "away",
        "open", "live", ["gap", {"reason": "too slow"}], "away",
        "open", "live",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cached", "expected"),
    [("no-cache", -3600), ("public, max-age=31536000, immutable", 0)],
)
async def test_the_servers_clock_is_not_read_from_an_answer_that_may_be_an_old_one(
    run, cached, expected
):
    then = datetime.now(UTC) - timedelta(hours=1)
    headers = {"Date": format_datetime(then, usegmt=True), "Cache-Control": cached}
    await run.page.route("**/answer", lambda route: route.fulfill(body="{}", headers=headers))
    code = 'await m.request(m.address("answer")); return m.serverNow() - Date.now()'
    assert await run(code) / 1000 == pytest.approx(expected, abs=60)


async def test_pauses_of_a_page_that_is_shown_for_weeks_leave_nothing_behind(run):
    code = """
        const stop = new AbortController();
        let left = 0;
        for (const [name, by] of [["addEventListener", 1], ["removeEventListener", -1]]) {
          const call = stop.signal[name].bind(stop.signal);
          stop.signal[name] = (...some) => ((left += by), call(...some));
        }
        for (let i = 0; i < 3; i += 1) await m.pause(1, stop.signal);
        const after = left;
        const long = m.pause(3_600_000, stop.signal);
        stop.abort();
        const both = Promise.all([long, m.pause(3_600_000, stop.signal)]);
        const late = new Promise((resolve) => setTimeout(resolve, 10_000, "late"));
        return [after, left, (await Promise.race([both, late])).length];
    """
    assert await run(code) == [0, 0, 2]
