"""The page's table of dead letters, in a browser."""

import pytest
from playwright.async_api import expect
from support.browser import browser_page, site_of
from support.dead_letters import refused_message, refused_partial
from support.page_parts import is_too_wide, store_values, window_now

pytest_plugins = ["support.server_fixtures"]

WHEN = 1_795_773_600_000
EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[2J"


@pytest.fixture
async def site(db):
    async with site_of(db) as made:
        yield made


@pytest.fixture(params=[320, 1440])
async def page(request):
    size = {"width": request.param, "height": 900}
    async with browser_page(viewport=size) as (opened, messages):
        yield opened
        assert messages.unexpected(polling=True) == []


def fill(kept):
    kept.add(
        refused_message(
            "bad_val",
            "sensor_readings/hall_2/temperature",
            b'{"ts": 1795773600000, "val": "20.1"}',
            "bad_val: val is the string '20.1'; a number is expected",
        ),
        refused_message("not_json", EVIL, EVIL.encode(), EVIL),
        refused_message("not_a_number", "zigbee2mqtt/lamp", b"\xff\xfe", "Feed z: /t", feed="z"),
        at_ms=WHEN,
    )
    kept.add(refused_partial("not_protobuf", b"x" * 5000), topic=1, at_ms=WHEN - 10)


async def opened(page, site):
    """Open the page with a facility, and return the card of dead letters."""
    await page.goto(site.url)
    await expect(page.locator("#checked")).to_contain_text("Checked", timeout=30_000)
    return page.locator("#dead")


async def test_without_any_there_is_no_card(db, site, page):
    await store_values(db, [(window_now() - 3, 1.0)])
    await expect(await opened(page, site)).to_be_hidden()
    assert site.kept.searches == 0


async def test_they_are_read_when_the_card_is_opened(db, site, page, tmp_path):
    await store_values(db, [(window_now() - 3, 1.0)])
    fill(site.kept)
    card = await opened(page, site)
    await expect(card.locator("summary")).to_have_text("Dead letters: 4")
    assert site.kept.searches == 0
    await card.locator("summary").click()
    rows = card.locator("tbody tr")
    await expect(rows).to_have_count(4)
    of_feed, evil, native, partial = [await rows.nth(n).inner_text() for n in range(4)]
    for text in (
        "sensor_readings/hall_2/temperature",
        "bad_val",
        "val is the string '20.1'; a number is expected",
        "send val as a number without quotes",
        '{"ts": 1795773600000, "val": "20.1"}',
    ):
        assert text in native
    assert "base64 //4=" in of_feed
    assert r"<img src=x onerror=alert(1)>\u{202e}\u{1b}[2J" in evil
    assert await card.locator("img").count() == 0
    assert "compacted_sensor_readings" in partial
    assert "x" * 300 + "…" in partial
    assert not await is_too_wide(page)
    await page.screenshot(path=tmp_path / "dead.png", full_page=True)


async def test_more_are_read_by_themselves_while_the_card_is_open(db, site, page):
    await store_values(db, [(window_now() - 3, 1.0)])
    fill(site.kept)
    card = await opened(page, site)
    await card.locator("summary").click()
    await expect(card.locator("tbody tr")).to_have_count(4)
    site.kept.add(refused_message("too_old", "new/one"), at_ms=WHEN + 100)
    await page.locator("#check").click()
    await expect(card.locator("tbody tr")).to_have_count(5)
    await expect(card.locator("tbody tr").first).to_contain_text("new/one")
    await expect(card.locator("summary")).to_have_text("Dead letters: 5")


async def test_where_nothing_but_dead_letters_comes_in_they_are_shown_too(site, page):
    fill(site.kept)
    await page.goto(site.url)
    card = page.locator("#welcome #dead")
    await card.locator("summary").click()
    await expect(card.locator("tbody tr")).to_have_count(4)
    assert not await is_too_wide(page)


async def test_where_kafka_does_not_answer_the_card_says_so(db, site):
    await store_values(db, [(window_now() - 3, 1.0)])
    fill(site.kept)
    async with browser_page() as (page, messages):
        card = await opened(page, site)
        await expect(card).to_be_visible()
        site.kept.is_away = True
        await card.locator("summary").click()
        note = page.locator("#dead-note")
        await expect(note).to_contain_text(
            "Not read: Kafka, which holds the dead letters, does not"
        )
    assert [each for each in messages.unexpected(polling=True) if "status of 503" not in each] == []
