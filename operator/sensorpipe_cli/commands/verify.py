"""`sensorpipe verify`: checks at a server that every reading is stored exactly once."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import typer

from sensorpipe_cli import errors
from sensorpipe_cli.client import api
from sensorpipe_cli.client.api import Integrity, Totals
from sensorpipe_cli.client.http import RequestError, get
from sensorpipe_cli.client.token_file import read_token
from sensorpipe_cli.errors import UnusableError
from sensorpipe_cli.views import report

SETTLED_SECONDS: Final = 15.0
"""Seconds after its last reading within which a window of the default length is closed."""

_PERIOD_SECONDS: Final = 1.0
"""Time between two requests while waiting."""

Fetch = Callable[[], bytes]


class _Parts(msgspec.Struct, omit_defaults=True):
    """The parts of an answer that are needed to combine several."""

    data: list[msgspec.Raw]
    totals: dict[str, int]
    set_aside: dict[str, int | None] | None = None
    removed_before: dict[str, str] = {}


class _Sums(msgspec.Struct):
    """The totals of an answer."""

    totals: Totals


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The options of `sensorpipe verify`."""

    facilities: tuple[str, ...] = ()
    """The facilities to verify; empty means all."""
    wait_seconds: float | None = None
    """The longest wait for a settled answer, in seconds; None means no waiting."""
    everything: bool = False
    """Whether sources without faults are shown, too."""
    as_json: bool = False
    """Whether the server's answer is printed instead."""
    ignore_dead_letters: bool = False
    """Whether dead letters do not change the exit code."""
    token_file: Path | None = None
    """File with the token to send, read again for each request."""


def verify(url: str, options: VerifyOptions) -> int:
    """Print the integrity of the server at `url`; return the exit code or raise UnusableError."""
    base = url.rstrip("/")

    def fetch() -> bytes:
        return _fetch(f"{base}/api/integrity", options.facilities, read_token(options.token_file))

    try:
        body = (
            fetch()
            if options.wait_seconds is None
            else wait_until_settled(fetch, options.wait_seconds)
        )
        integrity = api.decode(body, Integrity, base)
    except RequestError as error:
        raise UnusableError([f"cannot query {error}"]) from error
    if options.as_json:
        sys.stdout.write(body.decode() + "\n")
    else:
        _print(integrity, options)
    if not integrity.intact:
        return errors.FAULT
    if integrity.set_aside.dead_letters and not options.ignore_dead_letters:
        return errors.SET_ASIDE
    return errors.OK


def _fetch(address: str, facilities: tuple[str, ...], token: str | None) -> bytes:
    """Return the server's answer, combined if for several facilities; raise RequestError."""
    if not facilities:
        return get(address, 60, token)
    bodies = [get(f"{address}?facility={quote(name)}", 60, token) for name in facilities]
    if len(bodies) == 1:
        return bodies[0]
    answers = [api.decode(body, _Parts, address) for body in bodies]
    totals = {
        key: sum(answer.totals.get(key, 0) for answer in answers) for key in answers[0].totals
    }
    data = [row for answer in answers for row in answer.data]
    removed = {key: at for answer in answers for key, at in answer.removed_before.items()}
    return msgspec.json.encode(_Parts(data, totals, answers[-1].set_aside, removed))


def wait_until_settled(
    fetch: Fetch,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bytes:
    """Return the answer once it is unchanged for SETTLED_SECONDS and nothing is pending.

    A request without an answer starts that period again. After `seconds` return the last answer
    as it is; raise RequestError if there is none then.
    """
    began = since = clock()
    last: bytes | None = None
    while True:
        try:
            body = fetch()
        except RequestError:
            since = clock()
            if since - began >= seconds:
                raise
        else:
            now = clock()
            if body != last:
                last, since = body, now
            is_settled = now - since >= SETTLED_SECONDS and not _is_pending(body)
            if is_settled or now - began >= seconds:
                return body
        sleep(_PERIOD_SECONDS)


def _is_pending(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Sums).totals.pending > 0
    except msgspec.MsgspecError:
        return False  # not the answer of a server: waiting does not help


def _print(integrity: Integrity, options: VerifyOptions) -> None:
    """Print the selected sources and the verdict, in colour on a terminal."""
    rows = report.select_sources(integrity, everything=options.everything)
    if rows:
        for line, wrong in report.table(rows, integrity.totals):
            typer.secho(line, fg="red" if wrong else None, bold=wrong or None)
    if not options.everything and (more := report.count_omitted(integrity, len(rows))):
        typer.echo(more)
    for line in report.facilities_without_sources(integrity, options.facilities):
        typer.secho(line, fg="yellow")
    good = "yellow" if integrity.set_aside.dead_letters or not integrity.totals.count else "green"
    typer.secho(report.verdict(integrity), fg=good if integrity.intact else "red", bold=True)
