"""`sensorpipe dead`: messages that could not be used, and what to do about them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

import typer
from sensorpipe_client import Client, DeadLetter, DeadLetters, KafkaPlace

from sensorpipe_cli.commands.query import Server, connected, print_lines
from sensorpipe_cli.terminal_text import printable
from sensorpipe_cli.views.rows import Printer, Row, raw_text

MOST: Final = 200
"""Largest number of dead letters that a server answers at once."""

POLL_SECONDS: Final = 2.0
"""Seconds between two questions with `--follow`."""

_TABLE: Final = ("time", "topic", "reason", "detail", "what_to_do")
_ALL: Final = (
    *_TABLE,
    "feed",
    "payload",
    "payload_encoding",
    "payload_bytes",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
)
_WIDTHS: Final = (24, 32, 14, 40)
_REMEMBERED: Final = 10 * MOST
"""Number of dead letters that are remembered, so that none is printed twice."""

_Key = tuple[KafkaPlace, datetime]
"""Identifies a dead letter, also where a topic was created again."""

_SHOWN: Final = 120
"""Largest number of characters of a cell in a table; the other forms have all of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The dead letters that are asked for."""

    reason: str | None = None
    feed: str | None = None


def dead(server: Server, wanted: Wanted, limit: int, *, follow: bool) -> None:
    """Print the newest dead letters, newest first; with `follow` oldest first, until Ctrl-C."""
    with connected(server) as client:
        if follow:
            _follow(client, server, wanted, limit)
            return
        found = client.dead_letters(limit=limit, reason=wanted.reason, feed=wanted.feed)
        rows = (_row(each, server.form) for each in found.data)
        print_lines(Printer(server.form, _columns(server.form)).lines(rows))
        for note in notes(found):
            typer.echo(note, err=True)


def notes(found: DeadLetters) -> Iterator[str]:
    """Yield what a reader of the rows has to know beside them."""
    for topic in found.topics:
        if topic.held is None:
            yield (
                f"{printable(topic.topic)}: Kafka has no such topic, or the server's user may not "
                "see it"
            )
    if found.complete and not found.data:
        yield "no dead letters"
    elif not found.complete and found.since is not None:
        held = sum(topic.held or 0 for topic in found.topics)
        yield f"looked at {found.looked_at} of {held} messages, back to {raw_text(found.since)}"


class News:
    """Tells which dead letters of an answer have not been in an earlier one."""

    def __init__(self) -> None:
        self._seen: dict[_Key, None] = {}
        """The last ones that were seen, those of the newest answer at the end."""

    def of(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return those that are new, oldest first."""
        keys = [(each.kept_at, each.at) for each in letters]
        new = [each for each, key in zip(letters, keys, strict=True) if key not in self._seen]
        for key in keys:
            self._seen.pop(key, None)
            self._seen[key] = None
        for key in list(self._seen)[:-_REMEMBERED]:
            del self._seen[key]
        return new[::-1]


def _follow(client: Client, server: Server, wanted: Wanted, limit: int) -> None:
    printer, news = Printer(server.form, _columns(server.form), _WIDTHS), News()
    print_lines(printer.head())
    try:
        for number in count():
            found = client.dead_letters(limit=MOST, reason=wanted.reason, feed=wanted.feed)
            new = news.of(found.data)
            if number == 0:
                new = new[-limit:]
            elif len(new) == MOST:
                typer.echo("more dead letters came than can be shown", err=True)
            print_lines(printer.row(_row(each, server.form)) for each in new)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        print_lines(printer.end())
        raise


def _columns(form: str) -> Sequence[str]:
    return _TABLE if form == "table" else _ALL


def _row(letter: DeadLetter, form: str) -> Row:
    if form == "table":
        texts = (letter.topic, letter.reason, letter.detail, letter.what_to_do)
        return (letter.at, *map(_short, texts))
    place = letter.kept_at
    return (
        letter.at,
        letter.topic,
        letter.reason,
        letter.detail,
        letter.what_to_do,
        letter.feed,
        letter.payload,
        letter.payload_encoding,
        letter.payload_bytes,
        place.topic,
        place.partition,
        place.offset,
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
