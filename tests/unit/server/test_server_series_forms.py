"""How rows of a series are written, and which form a request prefers."""

import json
import math

import pytest
from sensorpipe_server.api.series_forms import FORMS, Cells, Head, time_text
from sensorpipe_server.api.series_params import accepted_form

NOON = 1_764_244_800_000
ROW = {"count": 4, "mean": 2.5, "m2": 3.0, "min": 1.0, "max": 4.0, "p50": 2.5}
ROWS = [(NOON, "hall_1", "t", ROW), (NOON + 500, "hall_1", "t", {**ROW, "m2": math.inf})]
HEAD = Head("1m", "2025-11-27T12:00:00Z", "2025-11-27T13:00:00Z")


def written(name, fields, rows=ROWS, at_once=1):
    form, cells = FORMS[name], Cells(fields, lambda start_ms: start_ms == NOON)
    pieces = [
        form.rows(cells, rows[at : at + at_once], at == 0) for at in range(0, len(rows), at_once)
    ]
    return b"".join([form.start(HEAD, cells), *pieces, form.end]).decode()


@pytest.mark.parametrize("at_once", [1, 2])
def test_json_is_whole_however_it_is_divided(at_once):
    found = json.loads(written("json", ("avg", "stdev"), at_once=at_once))
    assert found["data"] == [
        {
            "time": "2025-11-27T12:00:00Z",
            "facility": "hall_1",
            "sensor": "t",
            "avg": 2.5,
            "stdev": 1.0,
            "complete": True,
        },
        {
            "time": "2025-11-27T12:00:00.500Z",
            "facility": "hall_1",
            "sensor": "t",
            "avg": 2.5,
            "stdev": None,
            "complete": False,
        },
    ]
    assert (found["every"], found["units"]) == ("1m", {})


def test_json_without_rows_has_an_empty_list():
    assert json.loads(written("json", ("avg",), rows=[])) == {
        "every": "1m",
        "from": "2025-11-27T12:00:00Z",
        "to": "2025-11-27T13:00:00Z",
        "units": {},
        "data": [],
    }


def test_csv_has_an_empty_cell_for_what_is_no_number():
    assert written("csv", ("count", "stdev", "p50")) == (
        "time,facility,sensor,count,stdev,p50,complete\r\n"
        "2025-11-27T12:00:00Z,hall_1,t,4,1.0,2.5,true\r\n"
        "2025-11-27T12:00:00.500Z,hall_1,t,4,,2.5,false\r\n"
    )


def test_the_fields_are_in_the_order_in_which_they_were_asked_for():
    lines = written("ndjson", ("max", "count", "avg")).splitlines()
    assert list(json.loads(lines[0]).items())[3:6] == [("max", 4.0), ("count", 4), ("avg", 2.5)]


def test_a_time_after_the_year_9999_is_its_end():
    assert time_text(253_402_300_800_000) == "9999-12-31T23:59:59.999Z"
    assert time_text(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; header=present; q=0.8, application/json;q=0.7", "csv"),
        ("text/csv;q=0.5, application/x-ndjson", "ndjson"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=1.2.3", "json"),
        ("nonsense", "json"),
    ],
)
def test_the_form_is_the_one_that_is_accepted_best(accept, form):
    assert accepted_form(accept) == form
