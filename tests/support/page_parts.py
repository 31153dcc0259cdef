"""What the tests of the page share: recent windows, and what is seen of a plot."""

import time
from collections.abc import Iterable
from typing import Any

from playwright.async_api import Page
from support.server_parts import T0, one, store

WINDOW_MS = 10_000


def window_now() -> int:
    """Return the number of the window that is open now, counted from T0."""
    return (int(time.time() * 1000) - T0) // WINDOW_MS


async def store_values(
    db: Any,
    values: Iterable[tuple[int, float]],
    *,
    facility: str = "hall_1",
    sensor: str = "temperature",
    spread: float = 0.0,
    run: int = 1,
) -> None:
    """Store a window for each pair of its number and average, with three readings.

    They are the average, and `spread` below and above it.
    """
    messages = []
    for window, value in values:
        seq = 3 * (window % 1_000_000)
        readings = [(seq + 1, value - spread), (seq + 2, value), (seq + 3, value + spread)]
        origin = {"facility": facility, "window": window, "number": window, "run": run}
        messages.append(one(readings, None, sensor, **origin))
    await store(db, *messages)


_PLACES = """
async ([index, property, tolerance, share]) => {
  await new Promise(requestAnimationFrame);
  const canvas = document.querySelectorAll("#plots canvas")[index];
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(property);
  probe.fillRect(0, 0, 1, 1);
  const wanted = probe.getImageData(0, 0, 1, 1).data;
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const found = [];
  for (let i = 0; i < data.length; i += 4) {
    const near = [0, 1, 2].every((k) => Math.abs(data[i + k] - wanted[k]) <= tolerance);
    if (near && Math.abs(data[i + 3] - share * 255) <= 25) {
      found.push([(i / 4) % width / width, Math.floor(i / 4 / width) / height]);
    }
  }
  return found;
}
"""


async def pixels(
    page: Page, plot: int = 0, colour: str = "--line-0", *, opaque: float = 1.0
) -> list[tuple[float, float]]:
    """Return where a canvas has pixels of a colour of the style sheet: x and y from 0 to 1."""
    found = await page.evaluate(_PLACES, [plot, colour, 12, opaque])
    return [(x, y) for x, y in found]


async def is_too_wide(page: Page) -> bool:
    """Whether the page can be scrolled sideways."""
    return bool(
        await page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
    )
