"""The page keeps up by itself: with events, by polling, after the server was away, and hidden."""

import pytest
import pytest_asyncio
from playwright.async_api import expect
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from support.browser import browser_page, site_of
from support.page_parts import pixels, store_values, window_now
from support.server_parts import fresh_database
from support.services import running
from support.waiting import eventually

BY_ITSELF_MS = 15_000
"""Longest time until a new window is shown."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replica_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replica_set")
    async with running(embedded.mongod_replica_set(free_port(), folder)) as child:
        yield child


@pytest.fixture(params=["Live", "Polling each 5 s"])
def way(request):
    return request.param


@pytest.fixture
async def db(way, mongod, replica_set):
    async with fresh_database(replica_set if way == "Live" else mongod) as fresh:
        yield fresh


@pytest.fixture
async def site(db):
    async with site_of(db) as made:
        yield made


async def opened(page, site, way, query="?facility=hall_1&range=15m"):
    await page.goto(site.url + query)
    await expect(page.locator("#status")).to_have_text(way, timeout=30_000)
    await expect(page.locator("#plots")).to_have_attribute("aria-busy", "false", timeout=30_000)


async def test_a_new_window_appears_by_itself(db, site, way):
    now = window_now()
    await store_values(db, [(now - n, 10.0) for n in (9, 8, 7)])
    async with browser_page() as (page, messages):
        await opened(page, site, way)
        await expect(page.locator(".value")).to_contain_text("10")
        before = max(x for x, _ in await pixels(page))
        await store_values(db, [(now - n, 25.0) for n in (6, 5, 4)])
        await expect(page.locator(".value")).to_contain_text("25", timeout=BY_ITSELF_MS)
        await eventually(lambda: further(page, before))
        assert messages.unexpected(polling=way != "Live") == []


async def further(page, before):
    return max(x for x, _ in await pixels(page)) > before + 0.01


async def test_a_new_window_of_a_long_range_changes_its_bucket(db, site, way):
    now = window_now()
    await store_values(db, [(now - 3, 10.0)])
    async with browser_page() as (page, messages):
        await opened(page, site, way, "?facility=hall_1&range=30d")
        await expect(page.locator(".summary")).to_contain_text("3 readings")
        await store_values(db, [(now - 2, 40.0)])
        await expect(page.locator(".summary")).to_contain_text(
            "max 40, 6 readings", timeout=BY_ITSELF_MS
        )
        assert messages.unexpected(polling=way != "Live") == []


async def test_a_late_reading_changes_its_window(db, site, way):
    if way != "Live":
        pytest.skip("polling reads all of a range once a minute")
    now = window_now()
    await store_values(db, [(now - n, 10.0) for n in range(60, 5, -1)])
    async with browser_page() as (page, messages):
        await opened(page, site, way)
        await expect(page.locator(".summary")).to_contain_text("max 10,")
        await store_values(db, [(now - 30, 70.0)], run=2)
        await expect(page.locator(".summary")).to_contain_text("max 70,", timeout=BY_ITSELF_MS)
        assert messages.unexpected(polling=way != "Live") == []


async def test_a_server_that_was_away_is_found_again_and_nothing_is_missing(db, site, way):
    now = window_now()
    await store_values(db, [(now - n, 10.0) for n in (20, 19)])
    async with browser_page() as (page, messages):
        await opened(page, site, way)
        await expect(page.locator(".summary")).to_contain_text("6 readings")
        await site.stop()
        status = page.locator("#status")
        await expect(status).to_contain_text("Reconnecting", timeout=30_000)
        await store_values(db, [(now - n, 30.0) for n in (18, 17, 16)])
        site.start()
        await expect(status).to_have_text(way, timeout=60_000)
        await expect(page.locator(".summary")).to_contain_text("max 30, 15 readings")
        assert messages.unexpected(polling=way != "Live") == []


async def test_a_hidden_page_asks_for_nothing_and_goes_on_when_seen(db, site, way):
    now = window_now()
    await store_values(db, [(now - 9, 10.0)])
    async with browser_page() as (page, messages):
        await page.clock.install()
        await opened(page, site, way)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        await hide(page, hidden=True)
        asked.clear()
        await store_values(db, [(now - 8, 30.0)])
        await page.clock.run_for(60_000)
        assert asked == []
        await hide(page, hidden=False)
        await expect(page.locator(".value")).to_contain_text("30", timeout=BY_ITSELF_MS)
        assert messages.unexpected(polling=way != "Live") == []


async def hide(page, *, hidden):
    """Do what a browser does when its tab is hidden or seen again."""
    await page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
