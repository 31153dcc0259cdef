"""A series as rows, data frames and CSV; and what a live stream says."""

from datetime import UTC, datetime

import httpx2
import pandas as pd
import pytest
from sensorpipe_client import AnswerError, Facility, Row, Span, Window
from sensorpipe_client.answers import window_of
from sensorpipe_client.live import RETRIES, Gap, LiveState
from sensorpipe_client.series import DEFAULT_FIELDS, decode

ANSWER = b"""{"every":"10s","from":"2026-11-27T10:00:00Z","to":"2026-11-27T11:00:00Z",
"units":{"temperature":"\xc2\xb0C"},"data":[
{"time":"2026-11-27T10:00:00Z","facility":"hall_1","sensor":"temperature",
 "avg":20.5,"min":20.0,"max":21.0,"count":2,"complete":true},
{"time":"2026-11-27T10:00:10Z","facility":"hall_1","sensor":"temperature",
 "avg":1e300,"min":-3,"max":22,"count":50,"complete":false,"newer":1}]}"""
CSV = (
    b"time,facility,sensor,avg,min,max,count,complete\r\n"
    b"2026-11-27T10:00:00Z,hall_1,temperature,20.5,20.0,21.0,2,true\r\n"
    b"2026-11-27T10:00:10Z,hall_1,temperature,1e+300,-3.0,22.0,50,false\r\n"
)


def series():
    return decode(ANSWER, DEFAULT_FIELDS)


def test_rows_have_the_figures_of_the_answer():
    found = series()
    assert (found.every, found.units) == ("10s", {"temperature": "°C"})
    assert found.start == datetime(2026, 11, 27, 10, tzinfo=UTC)
    assert next(iter(found)) == Row(
        datetime(2026, 11, 27, 10, tzinfo=UTC),
        "hall_1",
        "temperature",
        complete=True,
        avg=20.5,
        min=20.0,
        max=21.0,
        count=2,
    )
    assert len(found) == 2


def test_a_pandas_frame_has_the_right_types_with_and_without_rows():
    frame = series().to_pandas()
    assert list(frame.columns) == [
        "time", "facility", "sensor", "avg", "min", "max", "count", "complete"
    ]  # fmt: skip
    assert str(frame["time"].dtype) == "datetime64[ms, UTC]"
    assert frame["count"].tolist() == [2, 50]
    assert frame["time"][1] == pd.Timestamp("2026-11-27T10:00:10Z")
    empty = decode(b'{"every":"1h","from":"2026-11-27T10:00:00Z","to":"2026-11-27T10:00:00Z",'
                   b'"data":[]}', DEFAULT_FIELDS).to_pandas()  # fmt: skip
    assert [str(kind) for kind in empty.dtypes] == [str(kind) for kind in frame.dtypes]


def test_a_polars_frame_has_the_right_types():
    frame = series().to_polars()
    assert {name: str(kind) for name, kind in frame.schema.items()} == {
        "time": "Datetime(time_unit='ms', time_zone='UTC')",
        "facility": "String",
        "sensor": "String",
        "avg": "Float64",
        "min": "Float64",
        "max": "Float64",
        "count": "Int64",
        "complete": "Boolean",
    }
    assert frame["complete"].to_list() == [True, False]


def test_a_csv_file_is_that_of_the_server(tmp_path):
    path = tmp_path / "hall_1.csv"
    series().to_csv(path)
    assert path.read_bytes() == CSV


WINDOW = {
    "facility_name": "hall_1",
    "window": {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"},
    "received_at": "2026-11-27T10:00:12Z",
    "complete": True,
    "avg_count_x": 1.0, "min_count_x": 1.0, "max_count_x": 1.0, "stdev_count_x": None,
    "count_count_x": 1,
}  # fmt: skip


def test_a_window_has_its_sensors_whatever_they_are_called():
    window = window_of(WINDOW)
    assert list(window.sensors) == ["count_x"]
    assert window.sensors["count_x"].count == 1
    assert window.sensors["count_x"].stdev is None
    assert window.end == datetime(2026, 11, 27, 10, 0, 10, tzinfo=UTC)


def event(kind, data, id_=""):
    return httpx2.ServerSentEvent(event=kind, data=data, id=id_)


FACILITY = Facility(
    "hall_1", [], Span(*(datetime(2026, 11, 27, 10, 0, n, tzinfo=UTC) for n in (0, 10)))
)


def test_a_live_stream_goes_on_after_its_last_event():
    import json

    state = LiveState("hall_1", RETRIES)
    state.connected(datetime(2026, 11, 27, 9, tzinfo=UTC))
    assert state.since(FACILITY) == datetime(2026, 11, 27, 8, 59, tzinfo=UTC)
    found = state.take(event("window", json.dumps(WINDOW), "7"), "http://server")
    assert isinstance(found, Window)
    assert state.last_id == "7"
    assert state.since(FACILITY) == datetime(2026, 11, 27, 9, 59, tzinfo=UTC)
    assert state.take(event("gap", '{"reason":"slow"}', "9"), "http://server") == Gap("slow")
    assert state.take(event("newer", "what"), "http://server") is None
    assert state.last_id == "9"


def test_an_event_s_id_that_no_header_can_hold_is_refused():
    state = LiveState("", RETRIES)
    with pytest.raises(AnswerError, match="its id is not ASCII"):
        state.take(event("newer", "", "\u00e4"), "http://server")


@pytest.mark.parametrize(
    ("facilities", "name", "expected"),
    [("", "a", True), ("a,b", "b", True), (["a-*"], "a-1", True), ("a", "b", False)],
)
def test_a_live_stream_knows_its_facilities(facilities, name, expected):
    assert LiveState(facilities, RETRIES).includes(name) is expected


@pytest.mark.parametrize("data", ["", "{", "[]", '{"facility_name": 3}'])
def test_events_that_are_none_of_a_server_are_refused(data):
    with pytest.raises(AnswerError, match="not an event of a sensorpipe server"):
        LiveState("", RETRIES).take(event("window", data), "http://server")
