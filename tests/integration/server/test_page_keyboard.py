"""The page without a pointer, with many facilities, and in colours that can be read."""

import pytest
from playwright.async_api import expect
from support.browser import browser_page, site_of
from support.page_parts import store_values, window_now

pytest_plugins = ["support.server_fixtures"]

CONTRAST = """
() => {
  const light = (name) => {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((byte) => {
      const c = byte / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const texts = ["text", "quiet", "accent", "good", "bad", "warn"];
  const lines = [0, 1, 2, 3, 4, 5].map((n) => `line-${n}`);
  const least = (names, back) => Math.min(...names.map((n) => ratio(light("--" + n), light(back))));
  return [least(texts, "--card"), least(texts, "--back"), least(texts, "--hover"),
          least(lines, "--card")];
}
"""


@pytest.fixture
async def site(db):
    now = window_now()
    for number in range(1, 211):
        await store_values(db, [(now - 3, float(number))], facility=f"hall_{number}")
    async with site_of(db) as made:
        yield made


async def focused(page):
    return await page.evaluate("document.activeElement.id || document.activeElement.dataset.name")


async def test_among_200_facilities_one_is_found_and_shown_by_keyboard_alone(site):
    async with browser_page(viewport={"width": 1280, "height": 900}) as (page, messages):
        await page.goto(site.url)
        await expect(page.locator("#facilities a")).to_have_count(210)
        await expect(page.locator("#found")).to_have_text("210")
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the plots")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("radio", name="1 h")).to_be_focused()
        await page.keyboard.press("ArrowRight")
        await expect(page).to_have_url(f"{site.url}?facility=hall_1&range=6h")
        await page.keyboard.press("Tab")
        assert await focused(page) == "search"
        await page.keyboard.type("20")
        await expect(page.locator("#found")).to_have_text("12 of 210")
        await page.keyboard.press("ArrowDown")
        assert await focused(page) == "hall_20"
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="hall_120")).to_be_visible()
        await expect(page).to_have_url(f"{site.url}?facility=hall_120&range=6h")
        assert await focused(page) == "hall_120"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await page.evaluate(outline) == "solid"
        await page.locator("#search").fill("nowhere")
        await expect(page.get_by_text("None has this name.")).to_be_visible()
        assert messages.unexpected(polling=True) == []


async def test_enter_in_the_search_shows_the_first_match(site):
    async with browser_page(viewport={"width": 320, "height": 700}) as (page, messages):
        await page.goto(f"{site.url}?facility=hall_2")
        await expect(page.get_by_role("heading", name="hall_2")).to_be_visible()
        await expect(page.locator("#search")).to_be_hidden()
        await page.get_by_text("Facility: hall_2").click()
        await page.locator("#search").fill("177")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="hall_177")).to_be_visible()
        await expect(page.locator("#search")).to_be_hidden()
        assert messages.unexpected(polling=True) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_and_lines_stand_out(site, scheme):
    async with browser_page(color_scheme=scheme) as (page, _):
        await page.goto(site.url)
        card, back, hover, lines = await page.evaluate(CONTRAST)
        assert min(card, back) >= 4.5
        assert hover >= 4.5
        assert lines >= 4.5
