"""How a request is made, tried again and answered, without any I/O.

A call is a generator that both clients drive: it yields a `Request` to send, and is sent a `Reply`
or a `Failure`; or a `Pause` to wait, and is sent None. Its return value is the answer.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar

import msgspec

from sensorpipe_client.answers import Problem
from sensorpipe_client.errors import AnswerError, ApiError, ClientError, ConnectionFailedError

T = TypeVar("T")

_TRY_AGAIN: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_DETAIL_CHARACTERS: Final = 500


class Request(NamedTuple):
    """A GET request: its path, query and additional headers."""

    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class Reply(NamedTuple):
    """An answer of any status; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Failure(NamedTuple):
    """A request that got no complete answer, and why."""

    url: str
    reason: str


class Pause(NamedTuple):
    """A wait before the next request."""

    seconds: float


Outcome = Reply | Failure
Call = Generator[Request | Pause, Outcome | None, T]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and for how long, a request is repeated after 429, 503 or a lost connection."""

    times: int = 4
    """Largest number of repetitions of a request."""
    seconds: float = 30.0
    """Longest sum of the waits between the attempts of a request, in seconds.

    If Retry-After asks for more, the error is raised at once.
    """


def call(request: Request, retries: Retries, decode: Callable[[bytes], T]) -> Call[T]:
    """Make a request until it is answered with 200, and return its answer; raise ClientError."""
    attempts = Attempts(retries)
    while True:
        outcome = yield request
        if outcome is None:
            raise TypeError("a request needs an outcome")
        if isinstance(outcome, Reply) and outcome.status == HTTPStatus.OK:
            break
        yield Pause(attempts.pause_after(outcome))
    try:
        return decode(outcome.body)
    except msgspec.MsgspecError as error:
        why = f"not the answer of a sensorpipe server: {error}"
        raise AnswerError(outcome.url, why) from error


class Attempts:
    """Decides after each failed attempt of a request whether, and when, it is repeated."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._made = 0
        self._waited = 0.0

    def pause_after(self, outcome: Outcome) -> float:
        """Return the seconds until the next attempt; raise ClientError if there is none."""
        pause = min(_FIRST_PAUSE * float(2**self._made), _LONGEST_PAUSE)
        if isinstance(outcome, Reply):
            if outcome.status not in _TRY_AGAIN:
                raise error_of(outcome)
            pause = max(pause, retry_after(outcome.headers))
        self._made += 1
        self._waited += pause
        if self._made > self._retries.times or self._waited > self._retries.seconds:
            raise error_of(outcome)
        return pause


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that Retry-After asks for; 0 without a valid one.

    A date is compared with that of the answer, so that a wrong clock here does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    then, now = _date(text), sent_at(headers)
    return max(0.0, (then - now).total_seconds()) if then and now else 0.0


def sent_at(headers: Mapping[str, str]) -> datetime | None:
    """Return when an answer was sent, by the server's clock; None without a valid Date."""
    return _date(headers.get("date", ""))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def error_of(outcome: Outcome) -> ClientError:
    """Return the error for an outcome that is no answer."""
    if isinstance(outcome, Failure):
        return ConnectionFailedError(outcome.url, outcome.reason)
    try:
        problem = msgspec.json.decode(outcome.body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem()
    detail = problem.detail[:_DETAIL_CHARACTERS] or _phrase(outcome.status)
    return ApiError(outcome.url, outcome.status, detail, problem.errors)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
