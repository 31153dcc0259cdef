"""The files of the page and how they are answered."""

import hashlib
import re

import pytest
from sensorpipe_server.api.page import FOLDER, Page
from starlette.exceptions import HTTPException
from starlette.requests import Request

MODULES = sorted(FOLDER.glob("*.js"))
HTML = (FOLDER / "index.html").read_text(encoding="utf-8")

UPLOT = {
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""SHA-256 of the files in npm's uplot-1.6.32.tgz."""


def request(**path: str) -> Request:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "path_params": path}
    return Request(scope)


def test_the_drawing_library_is_the_one_of_the_registry():
    found = {name: hashlib.sha256((FOLDER / "uplot" / name).read_bytes()) for name in UPLOT}
    assert {name: each.hexdigest() for name, each in found.items()} == UPLOT
    readme = (FOLDER / "uplot/README.md").read_text(encoding="utf-8")
    assert all(f"`{each}`" in readme for each in UPLOT.values())


def test_all_that_a_browser_loads_is_small():
    """Half of it is the drawing library, and 4,000 bytes are for tokens."""
    loaded = [each for each in FOLDER.rglob("*.*") if each.suffix != ".md"]
    assert {each.suffix for each in loaded} == {".css", ".html", ".js", ".svg"}
    assert sum(each.stat().st_size for each in loaded) < 123_000


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_and_imports_what_is_there(module):
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for name in re.findall(r'from "(.*?)"', text):
        assert (FOLDER / name).is_file()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_foreign_text_never_becomes_markup(module):
    text = module.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_nothing_in_the_html_is_inline():
    assert "style=" not in HTML
    assert not re.search(r"\son\w+=|<style|javascript:", HTML)
    assert all('src="VERSION/' in each for each in re.findall(r"<script[^>]*>", HTML))


async def test_the_page_names_files_that_are_answered_and_may_be_kept():
    page = Page()
    answer = await page.answer(request())
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.media_type == "text/html"
    names = re.findall(rf'"page/{page.version}/(.*?)"', bytes(answer.body).decode())
    assert {"main.js", "style.css", "uplot/uPlot.iife.min.js", "icon.svg"} <= set(names)
    for name in names:
        file = await page.answer_file(request(version=page.version, name=name))
        assert file.body == (FOLDER / name).read_bytes()
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert file.headers["x-content-type-options"] == "nosniff"


async def test_a_file_of_another_version_must_not_be_kept():
    answer = await Page().answer_file(request(version="0" * 12, name="main.js"))
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("name", ["../settings.py", "/etc/passwd", "index.html", "", "MAIN.JS"])
async def test_only_the_files_of_the_page_are_answered(name):
    page = Page()
    with pytest.raises(HTTPException) as error:
        await page.answer_file(request(version=page.version, name=name))
    assert error.value.status_code == 404


def test_any_change_of_a_file_changes_the_address_of_all(tmp_path):
    for name, text in (("index.html", "VERSION/main.js"), ("main.js", "1")):
        (tmp_path / name).write_text(text)
    before = Page(tmp_path).version
    assert Page(tmp_path).version == before
    (tmp_path / "main.js").write_text("2")
    assert Page(tmp_path).version != before


async def test_what_the_browser_may_do_is_limited_to_this_server():
    policy = (await Page().answer(request())).headers["content-security-policy"]
    assert dict(each.split(" ", 1) for each in policy.split("; ")) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
