"""The page's files as HTTP answers them, among the paths of the API."""

import re

pytest_plugins = ["support.server_fixtures"]


async def test_the_page_is_answered_whatever_its_query(client):
    answer = await client.get("/?facility=hall_1&range=1h")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


async def test_an_unchanged_page_is_not_sent_again(client):
    tag = (await client.get("/")).headers["etag"]
    again = await client.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


async def test_its_files_are_compressed_and_kept(client):
    path = re.search(r'"(page/.*?/uplot/uPlot\.iife\.min\.js)"', (await client.get("/")).text)
    assert path is not None
    answer = await client.get(f"/{path[1]}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert len(answer.content) == 51_081
    head = await client.head(f"/{path[1]}")
    assert (head.status_code, head.content) == (200, b"")


async def test_what_is_none_of_its_files_is_an_unknown_path(client):
    for path in ("/page/x/y.js", "/page/x/../settings.py", "/page/x/%2e%2e/settings.py", "/page/"):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.post("/")).status_code == 405
