"""`GET /api/series`: what sensors measured, by buckets of equal length, as JSON, CSV or lines."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.caching import Caching
from sensorpipe_server.api.http.problems import InvalidRequestError, problem
from sensorpipe_server.api.http.scans import Scans
from sensorpipe_server.api.http.streams import Stream
from sensorpipe_server.api.series_forms import FORMS, Cells, Form, Head, time_text
from sensorpipe_server.api.series_params import SeriesParams
from sensorpipe_server.api.times import FixedRange
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.reads.buckets import QUANTILES, Row
from sensorpipe_server.storage.reads.series import (
    Plan,
    Query,
    Series,
    TooManyRowsError,
    WrongStepError,
)
from sensorpipe_server.storage.reads.steps import ceil, floor, step_text
from sensorpipe_server.storage.source_seqs import Settling

WRITTEN: Final = 2_000
"""Largest number of rows that are written at a time, into some 300 kB."""

_ROW_BYTES: Final = 100
"""About as much work as writing a row are so many bytes of a message."""


class SeriesAnswers:
    """Answers series. Reading and writing take turns, so memory is that of a few slices."""

    def __init__(
        self,
        db: Database,
        settling: Settling,
        caching: Caching,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._series = Series(db)
        self._settling = settling
        self._caching = caching
        self._clock = clock
        self._scans = Scans()
        self.answer = self._scans.limited(self._answer)
        """Answers a request; a few at once read."""

    async def _answer(self, request: Request) -> Response:
        params = SeriesParams(request, operations.SERIES, self._clock)
        choice, sensors = params.facilities(), params.sensors(required=False)
        from_ms, to_ms = params.range()
        every, points, fields = params.every(), params.points(), params.fields()
        only_complete = params.only_complete()
        form = FORMS[params.form(request.headers.get("accept", ""))]
        params.check()
        quantiles = [name for name in fields if name in QUANTILES]
        query = Query(choice, sensors, from_ms, to_ms, every, points, quantiles, params.now_ms)
        try:
            plan, first, slices = await self._series.begin(query)
        except WrongStepError as error:
            raise InvalidRequestError([f"Invalid every: {error}"]) from error
        except TooManyRowsError as error:
            return _too_many(request, error)

        cells = Cells(fields, self._completeness(plan))
        pieces = self._pieces(form, plan, cells, first, slices, only_complete=only_complete)
        return Stream(pieces, form.media_type, self._headers(form, plan, params))

    def _completeness(self, plan: Plan) -> Callable[[int], bool]:
        """Return whether a bucket with a start is complete."""

        def is_complete(start_ms: int) -> bool:
            return self._settling.is_complete(start_ms + plan.every_ms, plan.query.now_ms)

        return is_complete

    def _headers(self, form: Form, plan: Plan, params: SeriesParams) -> dict[str, str]:
        asked = None if params.fixed_range is None else FixedRange(*_bounds(plan))
        names = plan.query.facilities.names or ()
        states = {name: status.state for name, status in plan.statuses.items()}
        headers = self._caching.headers_given(asked, names, states, params.now_ms)
        if form.is_file:
            headers["Content-Disposition"] = 'attachment; filename="series.csv"'
        return {**headers, **_head(plan).headers(), "Vary": "Accept"}

    async def _pieces(
        self,
        form: Form,
        plan: Plan,
        cells: Cells,
        rows: Sequence[Row],
        slices: AsyncGenerator[list[Row]],
        *,
        only_complete: bool,
    ) -> AsyncGenerator[bytes]:
        """Yield the answer, of which `rows` are the first slice.

        While a client does not read, only the bytes of a slice are kept for it.
        """
        yield form.start(_head(plan), cells)
        is_first = True
        async with aclosing(slices):
            while rows:
                if only_complete:
                    rows = [row for row in rows if cells.is_complete(row[0])]
                written = await _written(form, cells, rows, is_first=is_first)
                is_first, rows = is_first and not written, ()
                for piece in written:
                    yield piece
                async with self._scans.turn():
                    rows = await anext(slices, [])
        yield form.end


async def _written(form: Form, cells: Cells, rows: Sequence[Row], *, is_first: bool) -> list[bytes]:
    """Return rows as bytes, in pieces of at most WRITTEN rows."""
    written: list[bytes] = []
    for at in range(0, len(rows), WRITTEN):
        some = rows[at : at + WRITTEN]
        size = len(some) * _ROW_BYTES
        written.append(await aside(size, form.rows, cells, some, is_first and not written))
    return written


def _bounds(plan: Plan) -> tuple[int, int]:
    """Return the range of the whole buckets around what was asked for, in unix milliseconds."""
    query, every_ms = plan.query, plan.every_ms
    return floor(query.from_ms, every_ms), ceil(query.to_ms, every_ms)


def _head(plan: Plan) -> Head:
    start_ms, end_ms = _bounds(plan)
    bounds = time_text(start_ms), time_text(end_ms)
    return Head(step_text(plan.every_ms), *bounds, plan.units)


def _too_many(request: Request, error: TooManyRowsError) -> Response:
    detail = f"Invalid every: the answer would have {error}; "
    if error.every_ms is None:
        detail += "name fewer facilities or sensors"
    else:
        detail += f"with every={step_text(error.every_ms)} it would not, nor with every=auto"
    return problem(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
