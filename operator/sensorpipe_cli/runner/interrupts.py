"""SIGINT, SIGTERM and SIGHUP as events to wait for."""

import asyncio
import signal
from types import TracebackType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Set `first` on the first signal (stop in order), `second` on the next (stop at once)."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def interrupt(self) -> None:
        """Set `first`, or `second` if `first` is set already."""
        (self.second if self.first.is_set() else self.first).set()
