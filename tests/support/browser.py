"""The page in Debian's Chromium, and the server that it asks: a real one over a real mongod."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from playwright.async_api import Error, Page, Request, Response, async_playwright
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.http import server
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.mongodb.database import Database
from support.dead_letters import Kept

_TELL_VIOLATIONS: Final = """\
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`violates ${event.violatedDirective}: ${event.blockedURI}`));
"""

_NETWORK_CHANGED: Final = "net::ERR_NETWORK_CHANGED"
"""What Chromium says of connections that it ends since an interface of the machine came or went,
as those of a cluster beside these tests do. A page asks for its data again, but not for itself."""

_PARTS: Final = ("document", "script", "stylesheet")

_MOST_LOADS: Final = 30


class Site:
    """A server on a port of its own that can be stopped and started again."""

    def __init__(self, db: Database, access: Access | None = None) -> None:
        self._db = db
        self._access = access
        self.kept = Kept()
        """The dead letters that the server finds."""
        self._listener = server.listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve; after `stop` again at the same port."""
        if self._serving is not None:
            self._listener = server.listen("127.0.0.1", self.port)
        self._stop = asyncio.Event()
        kept = self.kept
        app = application(  # a stopped one refuses streams
            self._db,
            page_limit=20,
            set_aside=kept.counts,
            dead_letters=kept,
            access=self._access,
        )
        serving = server.serve(app, self._listener, self._stop)
        self._serving = asyncio.create_task(serving, name="serve the page")

    async def stop(self) -> None:
        """End all connections and refuse new ones."""
        self._stop.set()
        if self._serving is not None:
            await self._serving
        self._listener.close()


@asynccontextmanager
async def site_of(db: Database, access: Access | None = None) -> AsyncIterator[Site]:
    """Serve the API and the page for a database, to everybody or as an access file says."""
    site = Site(db, access)
    site.start()
    try:
        yield site
    finally:
        await site.stop()


class Messages(list[str]):
    """What a page wrote to its console, its errors, and what its policy forbade."""

    def unexpected(self, *, polling: bool = False, statuses: Iterable[int] = ()) -> list[str]:
        """Return all but what the browser itself says of a server that is away.

        With `polling`, the answer 501 of a MongoDB without change streams is expected, too, and
        so are answers with `statuses`.
        """
        texts = ["Failed to load resource: net::"]
        texts += [f"status of {each}" for each in [*statuses, *[501] * polling]]
        texts.append("willReadFrequently")  # of the tests, which read what is drawn
        return [each for each in self if not any(text in each for text in texts)]


@asynccontextmanager
async def browser_page(**context: Any) -> AsyncIterator[tuple[Page, Messages]]:
    """Open an empty page in a browser of its own; options are those of a Playwright context."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here; `apt-get install chromium` brings it")
    options = {"locale": "en-GB", "timezone_id": "Europe/Berlin", **context}
    messages = Messages()
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        opened = await browser.new_context(**options)
        opened.on("page", lambda each: _load_whole(each, messages))
        page = await opened.new_page()
        await page.add_init_script(_TELL_VIOLATIONS)
        page.on("console", lambda each: messages.append(f"{each.type}: {each.text}"))
        page.on("pageerror", lambda error: messages.append(f"error: {error}"))
        try:
            yield page, messages
        finally:
            with suppress(Exception):
                await page.goto("about:blank")  # ends its requests
            await browser.close()


def _load_whole(page: Page, messages: Messages) -> None:
    """Let `goto` and `reload` load a page again that Chromium did not get whole, see above."""
    lost: list[str] = []

    def note(request: Request) -> None:
        if request.failure == _NETWORK_CHANGED and request.resource_type in _PARTS:
            lost.append(request.url)

    def again(load: Callable[..., Awaitable[Response | None]]) -> Callable[..., Any]:
        async def loaded(*args: Any, **options: Any) -> Response | None:
            for _ in range(_MOST_LOADS):
                lost.clear()
                try:
                    answer = await load(*args, **options)
                except Error as error:
                    if _NETWORK_CHANGED not in str(error):
                        raise
                    continue
                if not lost:
                    return answer
                messages.clear()  # of scripts that miss another one
            raise AssertionError(f"the machine's interfaces change all the time: lost {lost}")

        return loaded

    page.on("requestfailed", note)
    page.goto = again(page.goto)  # type: ignore[method-assign]
    page.reload = again(page.reload)  # type: ignore[method-assign]
