"""The page of an API that needs a token: asked for, sent, refused, expired, and forgotten."""

import asyncio
import csv
import io
import json
import os
import time

import pytest
from playwright.async_api import expect
from sensorpipe_server.api.access.access import Access
from support.browser import browser_page, site_of
from support.dead_letters import refused_message
from support.page_parts import is_too_wide, pixels, store_values, window_now
from support.server_parts import fresh_database
from support.tokens import access_file, grant
from support.tokens import token as signed_token
from support.waiting import eventually

REFUSED = (401, 403)
HOUR = 3600.0
LONG_MS = 40_000
"""Longest time until the page asks again by itself, and is answered."""


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        now = window_now()
        for facility in ("hall_1", "hall_2"):
            values = [(now - n, 10.0) for n in range(9, 5, -1)]
            await store_values(fresh, values, facility=facility, spread=1.0)
        yield fresh


@pytest.fixture
def access(tmp_path):
    path = access_file(
        tmp_path,
        grant(["read"], ["hall_1", "hall_7-*"], subject="reader"),
        grant(["read"], ["*"], subject="overseer"),
        grant(["metrics"], ["*"], subject="prometheus"),
        grant(["read", "admin"], ["*"], subject="admin"),
    )
    return Access(path)


@pytest.fixture
async def site(db, access):
    async with site_of(db, access) as made:
        made.kept.add(refused_message("bad_val", "t", b"{}", "bad_val: wrong"), at_ms=1)
        yield made


@pytest.fixture
async def page():
    async with browser_page(viewport={"width": 1000, "height": 900}) as (opened, messages):
        yield opened
        assert messages.unexpected(statuses=REFUSED) == []


def token(subject="reader", **changed):
    now = time.time()
    return signed_token(**{"sub": subject, "exp": now + HOUR, "iat": now} | changed)


async def asked(page, why):
    """Return once the page asks for a token and says why."""
    await expect(page.locator("#access")).to_be_visible(timeout=LONG_MS)
    await expect(page.locator("#access-why")).to_contain_text(why, timeout=LONG_MS)


async def give(page, text):
    await page.get_by_label("Token", exact=True).fill(text)
    await page.keyboard.press("Enter")


async def shown(page, facility="hall_1"):
    """Return once the plots of a facility are drawn, and follow what is stored."""
    await expect(page.locator("#name")).to_have_text(facility, timeout=LONG_MS)
    await expect(page.locator("#plots")).to_have_attribute("aria-busy", "false", timeout=LONG_MS)
    await expect(page.locator("#status")).to_have_text("Live", timeout=LONG_MS)


async def opened(page, site, text, query=""):
    """Open the page and give it a token."""
    await page.goto(site.url + query)
    await asked(page, "A token is needed")
    await give(page, text)


def follow_requests(page):
    """Return a list to which each request of the page is added: address and Authorization."""
    found = []
    page.on("request", lambda one: found.append((one.url, one.headers.get("authorization"))))
    return found


async def test_without_a_token_it_asks_for_one_and_shows_nothing_else(site, page):
    await page.goto(site.url)
    await asked(page, "A token is needed: `Authorization: Bearer …`")
    await expect(page.get_by_role("heading", name="This API needs a token")).to_be_visible()
    await expect(page.locator("#access code")).to_have_text(
        "kubectl -n team-a create token dash --audience sensorpipe"
    )
    await expect(page.locator("#status")).to_have_text("No access")
    await expect(page.locator("#columns")).to_be_hidden()
    await expect(page.locator("#token")).to_be_hidden()
    field = page.get_by_label("Token", exact=True)
    await expect(field).to_have_attribute("type", "password")
    assert await field.get_attribute("name") is None  # a form sends only fields with a name


async def test_a_token_is_sent_with_each_request_and_is_nowhere_else(site, page):
    text = token()
    await page.goto(site.url)
    await asked(page, "A token is needed")
    requests = follow_requests(page)
    await give(page, f"  Bearer {text} ")
    await shown(page)
    await expect(page.locator("#access")).to_be_hidden()
    await expect(page.locator("#checked")).to_contain_text("Checked")
    assert await page.locator("#facilities a").count() == 1
    paths = {url.partition("/api/")[2].partition("?")[0] for url, _ in requests}
    assert {"facilities", "series", "live", "integrity"} <= paths
    of_api = [(url, sent) for url, sent in requests if "/api/" in url]
    assert [url for url, sent in of_api if sent != f"Bearer {text}"] == []
    assert all(text not in url for url in [page.url, *(url for url, _ in requests)])
    kept = "[JSON.stringify(localStorage), document.cookie, document.body.innerHTML]"
    assert all(text not in each for each in await page.evaluate(kept))
    assert await page.locator("#access-token").input_value() == ""


async def test_it_is_kept_for_the_tab_until_it_is_forgotten(site, page):
    await opened(page, site, token())
    await shown(page)
    await page.reload()
    await shown(page)
    other = await page.context.new_page()
    await other.goto(site.url)
    await asked(other, "A token is needed")
    await page.get_by_role("button", name="Forget token").click()
    await asked(page, "A token is needed")
    await expect(page.locator("#columns")).to_be_hidden()
    assert await page.locator("#facilities a, #plots article, #figures div").count() == 0
    await page.reload()
    await asked(page, "A token is needed")


async def test_a_browser_that_may_store_nothing_keeps_it_until_the_next_load(site, page):
    broken = "Object.defineProperty(window, 'sessionStorage', {get() { throw new Error('no'); }})"
    await page.add_init_script(broken)
    await opened(page, site, token())
    await shown(page)
    await page.reload()
    await asked(page, "A token is needed")


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"exp": 1e9}, "The token has expired"), ({"aud": "x"}, "aud must have sensorpipe")],
)
async def test_a_token_that_is_not_accepted_is_told_why(site, page, changed, why):
    await opened(page, site, token(**changed))
    await asked(page, why)
    await give(page, token())
    await shown(page)


async def test_what_cannot_be_a_token_is_not_sent(site, page):
    await page.goto(site.url)
    await asked(page, "A token is needed")
    requests = follow_requests(page)
    for text in ("two words", "naïve", ""):
        await give(page, text)
        assert not await page.evaluate("document.getElementById('access').checkValidity()")
    assert [sent for _, sent in requests if sent] == []


async def test_what_a_server_says_is_shown_as_text(site, page):
    evil = "<img src=x onerror=alert(1)>"
    body = json.dumps({"detail": evil})
    await page.route("**/api/**", lambda route: route.fulfill(status=401, body=body))
    await page.goto(site.url)
    await expect(page.locator("#access-why")).to_have_text(evil)
    assert await page.locator("#access-why img").count() == 0


async def test_what_is_not_granted_is_said_with_what_is(site, page):
    await opened(page, site, token(), "?facility=hall_2")
    await asked(page, "The token does not grant the facility 'hall_2'; granted: hall_1, hall_7-*")
    await expect(page.get_by_role("heading", name="Not granted")).to_be_visible()
    await page.get_by_role("link", name="hall_1").click()
    await shown(page)
    await expect(page.locator("#access")).to_be_hidden()


async def test_a_token_without_the_scope_is_told_which_one_is_missing(site, page):
    await opened(page, site, token("prometheus"))
    await asked(page, "The token does not grant the scope read; granted: metrics for *")
    await give(page, token())
    await shown(page)


async def test_dead_letters_are_for_the_scope_admin(site, page):
    await opened(page, site, token("overseer"))
    await shown(page)
    card = page.locator("#dead")
    await card.locator("summary").click()
    await expect(page.locator("#dead-note")).to_have_text(
        "Not read: The token does not grant the scope admin; granted: read for *"
    )
    await expect(page.locator("#access")).to_be_hidden()
    await page.get_by_role("button", name="Forget token").click()
    await asked(page, "A token is needed")
    await give(page, token("admin"))
    await card.locator("summary").click()
    await expect(card.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("#dead-link")).to_be_hidden()


async def test_who_may_not_read_all_facilities_sees_no_dead_letters(site, page):
    await opened(page, site, token())
    await expect(page.locator("#checked")).to_contain_text("Checked", timeout=LONG_MS)
    await expect(page.locator("#dead")).to_be_hidden()
    figures = await page.locator("#figures > div").all_inner_texts()
    assert "dead letters\n\N{EN DASH}" in figures


async def test_a_token_that_expires_is_asked_for_with_all_left_on_the_screen(
    db, access, site, page
):
    await opened(page, site, token())
    await shown(page)
    await eventually(lambda: pixels(page))
    access._clock = lambda: time.time() + 2 * HOUR
    for end in access.on_change:  # as when it expires
        end()
    await asked(page, "The token has expired")
    await expect(page.locator("#status")).to_have_text("No access", timeout=LONG_MS)
    assert await pixels(page)
    await expect(page.locator(".value")).to_contain_text("10")
    await store_values(db, [(window_now() - 3, 30.0)])
    await give(page, token(exp=time.time() + 3 * HOUR, iat=time.time()))
    await expect(page.locator("#access")).to_be_hidden(timeout=LONG_MS)
    await expect(page.locator("#status")).to_have_text("Live", timeout=LONG_MS)
    await expect(page.locator(".value")).to_contain_text("30")
    await expect(page.get_by_role("button", name="Forget token")).to_be_focused()


async def test_a_token_that_a_proxy_passes_needs_no_form(site):
    headers = {"Authorization": f"Bearer {token()}"}
    async with browser_page(extra_http_headers=headers) as (page, messages):
        await page.goto(site.url)
        await shown(page)
        await expect(page.locator("#access")).to_be_hidden()
        await expect(page.get_by_role("button", name="Forget token")).to_be_hidden()
        assert messages.unexpected() == []


async def test_where_everybody_may_read_a_part_a_token_shows_more(db, tmp_path):
    anonymous = {"scopes": ["read"], "facilities": ["hall_2"]}
    grants = grant(["read"], ["*"], subject="reader")
    access = Access(access_file(tmp_path, grants, anonymous=anonymous))
    async with site_of(db, access) as site, browser_page() as (page, messages):
        await page.goto(site.url)
        await shown(page, "hall_2")
        await expect(page.locator("#access")).to_be_hidden()
        await page.get_by_role("button", name="Token", exact=True).click()
        await expect(page.get_by_label("Token", exact=True)).to_be_focused()
        await give(page, token())
        await expect(page.locator("#facilities a")).to_have_count(2)
        await expect(page.locator("#access")).to_be_hidden()
        assert messages.unexpected() == []


async def test_an_open_api_has_nothing_of_tokens(db):
    async with site_of(db) as site, browser_page() as (page, messages):
        await page.goto(site.url)
        await shown(page)
        await expect(page.locator("#access")).to_be_hidden()
        await expect(page.locator("#token")).to_be_hidden()
        assert messages.unexpected() == []


async def test_csv_is_saved_and_the_lines_for_the_shell_work_with_a_token(site, page):
    text = token()
    await opened(page, site, text)
    await shown(page)
    async with page.expect_download() as started:
        await page.locator("#csv").click()
    download = await started.value
    assert download.suggested_filename == "series.csv"
    rows = list(csv.DictReader(io.StringIO((await download.path()).read_text())))
    assert [float(row["avg"]) for row in rows] == [10.0] * 4
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy as curl").click()
    await expect(page.locator("#curl")).to_have_text("Copied")
    line = await page.evaluate("navigator.clipboard.readText()")
    assert text not in line
    typed = list(csv.DictReader(io.StringIO(await shell(line, text))))
    assert [row["avg"] for row in typed] == [row["avg"] for row in rows]


async def shell(line, text):
    """Return what a line prints with a token in TOKEN; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        line.replace("curl ", "curl --fail "),
        env={**os.environ, "TOKEN": text},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, line
    return output.decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1440])
async def test_the_form_fits_every_width(site, tmp_path, width, scheme):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    async with browser_page(**options) as (page, messages):
        await page.goto(site.url)
        await asked(page, "A token is needed")
        assert not await is_too_wide(page)
        await page.screenshot(path=tmp_path / "asked.png", full_page=True)
        await give(page, token())
        await shown(page)
        assert not await is_too_wide(page)
        await page.screenshot(path=tmp_path / "shown.png", full_page=True)
        await page.goto(f"{site.url}?facility=hall_2")
        await asked(page, "granted: hall_1, hall_7-*")
        assert not await is_too_wide(page)
        await page.screenshot(path=tmp_path / "refused.png", full_page=True)
        assert messages.unexpected(statuses=REFUSED) == []
