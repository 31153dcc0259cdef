"""Make docs/page.png: the live page over a real run, as a browser shows it.

Run it by `make page-picture`; it needs Chromium. `sensorpipe up` runs the Sensors in
docs/page_sensors.yaml for 16 minutes, so that everything in the picture was measured.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import ViewportSize, sync_playwright

DOCS: Final = Path(__file__).parent
_RUN_SECONDS: Final = 16 * 60
"""Seconds of readings: the range of the picture, and those that are still on their way."""
_VIEW: Final = "?facility=hall_1&range=15m"
_SIZE: Final = ViewportSize(width=1280, height=742)


def main(argv: list[str]) -> None:
    """Run the pipeline and take the picture, or take it of the page at the given address."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium here; `apt-get install chromium` brings it")
    if argv:
        take(chromium, argv[0])
        return
    with running() as address:
        time.sleep(_RUN_SECONDS)
        take(chromium, address)


@contextmanager
def running() -> Iterator[str]:
    """Run the pipeline; yield the address of its page."""
    command = [sys.executable, "-m", "sensorpipe_cli", "up", "--no-tty", "--port", "0"]
    with subprocess.Popen(  # noqa: S603  it is made of constants
        [*command, str(DOCS / "page_sensors.yaml")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield next(
                line.removeprefix("page: ").strip()
                for line in process.stdout or ()
                if line.startswith("page: ")
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def take(chromium: str, address: str) -> None:
    """Take the picture of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport=_SIZE, locale="en-GB", timezone_id="Europe/Berlin")
        page = context.new_page()
        page.goto(address + _VIEW)
        page.locator("#verdict[data-verdict=good]").wait_for(timeout=60_000)
        page.locator("#plots[aria-busy=false] canvas").first.wait_for()
        page.screenshot(path=DOCS / "page.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
