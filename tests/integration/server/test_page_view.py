"""The page over the running server: what is drawn, said and offered."""

import asyncio
import csv
import io
import json

import pytest
from playwright.async_api import expect
from support.browser import browser_page, site_of
from support.page_parts import is_too_wide, pixels, store_values, window_now
from support.server_parts import one, store
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]


@pytest.fixture
async def site(db):
    async with site_of(db) as made:
        yield made


@pytest.fixture
async def page():
    async with browser_page(viewport={"width": 1280, "height": 900}) as (opened, messages):
        yield opened
        assert messages.unexpected(polling=True) == []


async def shown(page, site, query=""):
    """Open the page and return once its plots are drawn."""
    await page.goto(site.url + query)
    await expect(page.locator("#plots")).to_have_attribute("aria-busy", "false", timeout=30_000)


async def test_the_line_is_where_the_values_are_and_a_gap_is_a_gap(db, site, page):
    now = window_now()
    low = ((now - n, 10.0) for n in range(85, 60, -1))
    high = ((now - n, 20.0) for n in range(30, 5, -1))
    await store_values(db, [*low, *high], spread=2.0)
    await shown(page, site, "?facility=hall_1&range=15m")
    await eventually(lambda: pixels(page))
    line = await pixels(page)
    left = [y for x, y in line if x < 0.4]
    right = [y for x, y in line if x > 0.7]
    assert len(left) > 50
    assert len(right) > 50
    assert min(left) > max(right)
    assert [x for x, _ in line if 0.45 < x < 0.65] == []
    band = await pixels(page, opaque=0.2)
    assert min(y for _, y in band) < min(right)
    assert max(y for _, y in band) > max(left)


async def test_the_open_window_is_dashed(db, site, page):
    now = window_now()
    await store_values(db, [(now - n, 10.0) for n in range(9, -1, -1)])
    await shown(page, site, "?facility=hall_1&range=15m")
    value = page.locator(".card .value")
    await expect(value).to_contain_text("incomplete")
    await expect(value).not_to_contain_text("incomplete", timeout=30_000)


async def test_values_are_read_by_pointer_and_by_arrow_keys(db, site, page):
    now = window_now()
    await store_values(db, [(now - n, 100.0 + n) for n in range(60, 5, -1)], spread=0.5)
    await shown(page, site, "?facility=hall_1&range=15m")
    area = page.get_by_role("slider", name="temperature by time")
    await expect(page.locator(".summary")).to_contain_text("min 105.5, avg 133, max 160.5")
    await area.focus()
    await page.keyboard.press("Home")
    await expect(page.locator(".value")).to_contain_text("160")
    await expect(page.locator(".summary")).to_contain_text("159.5 to 160.5, 3 readings")
    await page.keyboard.press("ArrowRight")
    await expect(area).to_have_attribute("aria-valuetext", containing(": 159, 158.5 to 159.5, 3"))
    await page.keyboard.press("End")
    await expect(page.locator(".value")).to_contain_text("106")
    await area.hover(position={"x": 200, "y": 50})
    await expect(page.locator(".value")).not_to_contain_text("106")


def containing(text):
    import re

    return re.compile(re.escape(text))


async def test_csv_and_curl_give_what_is_plotted(db, site, page):
    now = window_now()
    values = [(now - n, float(n)) for n in range(40, 5, -1)]
    await store_values(db, values, spread=1.0)
    await store_values(db, [(now - 500, 1.0)], spread=1.0)
    await shown(page, site, "?facility=hall_1&range=15m")
    await expect(page.locator("#csv")).to_have_attribute("href", containing("every=10s"))
    async with page.expect_download() as started:
        await page.locator("#csv").click()
    text = (await (await started.value).path()).read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["avg"]) for row in rows] == [value for _, value in values]
    assert {row["count"] for row in rows} == {"3"}
    typed = list(csv.DictReader(io.StringIO(await shell(await curl(page)))))
    assert [row.pop("time_utc") for row in rows] == [
        row.pop("time").replace("T", " ").removesuffix("Z") for row in typed
    ]
    assert typed == rows
    await expect(page.locator("#curl")).to_have_text("Copy as curl")


async def shell(line):
    """Return what a line prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, line
    return output.decode().replace("\r\n", "\n")


async def test_every_operation_has_a_line_that_works(db, site, page):
    await store_values(db, [(window_now() - 3, 1.0)])
    await shown(page, site)
    await page.get_by_text("API", exact=True).click()
    operations = page.locator("#operations > li")
    document = json.loads(await shell(f"curl -sS {site.url}openapi.json"))
    await expect(operations).to_have_count(len(document["paths"]))
    for line in await operations.locator("code").all_inner_texts():
        if " -N " not in line:
            assert await shell(line.replace("curl ", "curl --fail "))


async def test_the_address_holds_what_is_shown(db, site, page):
    now = window_now()
    for facility in ("hall_1", "hall_2"):
        await store_values(db, [(now - 3, 1.0)], facility=facility)
    await shown(page, site, "?facility=hall_2&range=6h")
    await expect(page.get_by_role("heading", name="hall_2")).to_be_visible()
    await expect(page.get_by_role("radio", name="6 h")).to_be_checked()
    await page.get_by_role("link", name="hall_1").click()
    await expect(page).to_have_url(f"{site.url}?facility=hall_1&range=6h")
    await page.locator("label").filter(has_text="24 h").click()
    await expect(page).to_have_url(f"{site.url}?facility=hall_1&range=24h")
    await expect(page).to_have_title("hall_1 - sensorpipe")
    await page.go_back()
    await page.go_back()
    await expect(page.get_by_role("heading", name="hall_2")).to_be_visible()
    await expect(page.get_by_role("link", name="hall_2")).to_have_attribute("aria-current", "page")


async def test_a_time_that_is_dragged_over_is_shown_finer(db, site, page):
    now = window_now()
    await store_values(db, [(now - n, float(n)) for n in range(2000, 5, -5)])
    await shown(page, site, "?facility=hall_1&range=6h")
    await expect(page.locator("#every")).to_contain_text("average of each 1 m")
    box = await page.locator("#plots canvas").bounding_box()
    y = box["y"] + 40
    await page.mouse.move(box["x"] + 0.6 * box["width"], y)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 0.7 * box["width"], y, steps=3)
    await page.mouse.up()
    await expect(page.locator("#every")).to_contain_text("average of each 10 s")
    await expect(page).to_have_url(containing("range=6h&from=20"))
    rows = list(csv.DictReader(io.StringIO(await shell(await curl(page)))))
    assert 10 < len(rows) < 60
    assert {row["count"] for row in rows} == {"3"}
    await page.reload()
    await expect(page.locator("#every")).to_contain_text("average of each 10 s")
    await page.get_by_role("button", name="Back to 6 h").click()
    await expect(page.locator("#every")).to_contain_text("average of each 1 m")
    await page.get_by_role("slider").focus()
    await page.keyboard.press("+")
    await expect(page).to_have_url(containing("from=20"))
    await expect(page.get_by_role("slider")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(f"{site.url}?facility=hall_1&range=6h")


async def curl(page):
    """Return the line for the shell that the page offers."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy as curl").click()
    await expect(page.locator("#curl")).to_have_text("Copied")
    return await page.evaluate("navigator.clipboard.readText()")


async def test_what_was_lost_is_said(db, site, page):
    window = window_now() - 60
    await store(db, one([(1, 1.0), (3, 1.0)], facility="hall_1", window=window))
    await shown(page, site)
    verdict = page.locator("#verdict")
    await expect(verdict).to_have_text("Not every reading is stored exactly once: 1 lost")
    await store(db, one([(2, 1.0)], facility="hall_1", window=window, number=2))
    await page.get_by_role("button", name="Check now").click()
    await expect(verdict).to_have_text("Every reading is stored exactly once")
    assert await page.locator("#figures > div").all_inner_texts() == [
        "stored\n3", "lost\n0", "duplicates\n0", "pending\n0",
        "dead letters\n0", "refused\n0", "fenced\n0",
    ]  # fmt: skip


async def test_without_readings_it_waits_for_the_first(db, site, page):
    await page.goto(site.url)
    await expect(page.get_by_role("heading", name="No facility yet")).to_be_visible()
    await store_values(db, [(window_now() - 1, 1.0)], facility="first")
    await expect(page.get_by_role("heading", name="first")).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1920])
async def test_it_fits_every_width_in_both_schemes(db, site, width, scheme):
    long = "f" + "x" * 61 + "y"
    await store_values(
        db, [(window_now() - n, 1e300) for n in (9, 5)], facility=long, sensor="s" * 63
    )
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    async with browser_page(**options) as (page, messages):
        await shown(page, site)
        await page.get_by_text("API", exact=True).click()
        await expect(page.locator("#operations code").first).to_be_visible()
        assert not await is_too_wide(page)
        await eventually(lambda: pixels(page))
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == {"light": "rgb(243, 245, 248)", "dark": "rgb(14, 18, 23)"}[scheme]
        assert messages.unexpected(polling=True) == []
