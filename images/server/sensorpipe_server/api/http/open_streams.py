"""The answers that do not end: how many there are, and their end when the server stops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TooManyStreamsError(Exception):
    """There are as many streams as the server allows."""


class OpenStreams:
    """Streams of one server; they do not count as requests that are being answered."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Largest number of streams at once; the server sets it by the files it may open."""
        self.number = 0
        """Number of streams now."""
        self.is_ending = False
        """Whether the server stops."""
        self.closers: set[Callable[[], object]] = set()
        """What to call when the server stops."""

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one stream; raise TooManyStreamsError at the limit."""
        if self.number >= self.limit or self.is_ending:
            raise TooManyStreamsError
        self.number += 1
        try:
            yield
        finally:
            self.number -= 1

    def end(self) -> None:
        """End all streams, as the server stops."""
        self.is_ending = True
        for close in list(self.closers):
            close()
