"""Requests: every wrong one is told what is wrong and what is allowed."""

from urllib.parse import quote

import pytest
from sensorpipe_server.api.http.problems import InvalidRequestError
from sensorpipe_server.api.openapi.operation import Operation, Parameter
from sensorpipe_server.api.params import NO_SENSOR, Params, read_cursor, write_cursor
from sensorpipe_server.storage.documents import END_OF_TIME_MS, WindowKey
from starlette.requests import Request

NOW = 1_795_773_600.0  # 2026-11-27T10:00:00Z


def params(query, *allowed, clock=lambda: NOW):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    parameters = tuple(Parameter(name, "", {}) for name in allowed)
    operation = Operation("/", "get", "", {}, parameters, scope="read")
    request = Request({**scope, "query_string": query.encode()})
    return Params(request, operation, clock)


def errors(query, *allowed, read):
    """Return what is wrong with a query after `read` looked at it."""
    asked = params(query, *allowed)
    read(asked)
    with pytest.raises(InvalidRequestError) as caught:
        asked.check()
    return caught.value.errors


@pytest.mark.parametrize("bad", ["abc", "-1", "+1", "1.5", "", " 1", "1e3", "٣", "0x10"])
def test_a_number_that_is_none_is_quoted(bad):
    query = f"limit={quote(bad)}"
    assert errors(query, "limit", read=lambda p: p.limit(20)) == [
        f"Invalid limit: must be a non-negative integer; got {bad!r}"
    ]
    assert errors(query.replace("limit", "offset"), "offset", read=lambda p: p.offset()) == [
        f"Invalid offset: must be a non-negative integer; got {bad!r}"
    ]


def test_limits():
    assert params("limit=0", "limit").limit(20) == 20
    assert params("", "limit").limit(20) == 20
    assert params("limit=007", "limit").limit(20) == 7
    assert errors("limit=21", "limit", read=lambda p: p.limit(20)) == [
        "Invalid limit: must be at most 20; got '21'"
    ]
    huge = "9" * 5000
    (error,) = errors(f"offset={huge}", "offset", read=lambda p: p.offset())
    assert error.startswith("Invalid offset: must be at most 9223372036854775807")


@pytest.mark.parametrize("text", ["", ",", " , ", "A", "a b", "-a", "%24where", "a.b"])
def test_sensors_need_a_valid_name(text):
    asked = f"sensors={text}"
    assert errors(asked, "sensors", read=lambda p: p.sensors(required=True)) == [NO_SENSOR]


def test_sensors():
    assert errors("", read=lambda p: p.sensors(required=True)) == [NO_SENSOR]
    assert params("", "sensors").sensors(required=False) == []
    assert params("sensors=b,a,,b", "sensors").sensors(required=True) == ["b", "a"]
    (error,) = errors("sensors=a,B", "sensors", read=lambda p: p.sensors(required=True))
    assert "got 'B'" in error


def test_unknown_and_repeated_parameters_are_named_with_what_is_allowed():
    assert errors("offst=1&limit=1&limit=2", "offset", "limit", read=lambda _: None) == [
        "Unknown parameter 'offst': allowed are offset, limit",
        "Invalid limit: must be given once",
    ]


def test_all_errors_come_at_once():
    found = errors(
        "limit=x&offset=y&from=z",
        *("limit", "offset", "from", "to"),
        read=lambda p: (p.limit(20), p.offset(), p.span()),
    )
    assert [error.split(":")[0] for error in found] == [
        "Invalid limit",
        "Invalid offset",
        "Invalid from",
    ]


def test_a_span_is_within_what_windows_can_be():
    span = "from=0001-01-02T00:00:00Z&to=9999-12-31T23:59:59.9999Z"
    assert params(span, "from", "to").span() == (0, END_OF_TIME_MS)
    assert params("", "from", "to").span() == (0, END_OF_TIME_MS)
    (error,) = errors(
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from", "to", read=lambda p: p.span()
    )
    assert error.startswith("Invalid from: must not be after to")


def test_a_span_has_one_now():
    ticks = iter([NOW, NOW + 1])
    asked = params("from=-1h&to=now", "from", "to", clock=lambda: next(ticks))
    assert asked.span() == (1_795_770_000_000, 1_795_773_600_000)
    assert asked.now_ms == 1_795_773_600_000


def test_a_span_has_the_defaults_of_its_endpoint():
    assert params("", "from", "to").span("-24h", "now") == (1_795_687_200_000, 1_795_773_600_000)
    assert params("to=0001-01-01", "from", "to").span() == (0, 0)
    assert errors("to=2026-01-01", "from", "to", read=lambda p: p.span("-24h", "now")) == [
        "Invalid from: must not be after to; got '-24h' and '2026-01-01'"
    ]


def test_a_wrong_time_is_named_with_its_parameter():
    found = errors("from=2026&to=15m", "from", "to", read=lambda p: p.span())
    assert [error.split(";")[0][:40] for error in found] == [
        "Invalid from: a number must be 0, second",
        "Invalid to: must be an RFC 3339 time suc",
    ]


def test_cursors_read_back_and_nothing_else_does():
    key = WindowKey("facility", 1_731_600_000_000, 10_000)
    assert read_cursor(write_cursor(key)) == "001731600000000/10000"
    assert read_cursor("") == ""
    for bad in ("x", "é", "AAAA", "Zi8xLzI", "=" * 9):
        with pytest.raises(ValueError, match="must be empty or the `next`"):
            read_cursor(bad)
    (error,) = errors("cursor=&offset=0", "cursor", "offset", read=lambda p: p.cursor())
    assert "together with offset" in error


def test_a_list_of_10000_names_is_refused():
    asked = "sensors=" + ",".join(f"s{number}" for number in range(10_000))
    assert errors(asked, "sensors", read=lambda p: p.sensors(required=True)) == [
        "Invalid sensors: at most 500 names; got 10000"
    ]
    most = [f"s{number}" for number in range(500)]
    assert params("sensors=" + ",".join(most), "sensors").sensors(required=True) == most


def test_a_query_of_more_than_20_parameters_is_refused():
    with pytest.raises(InvalidRequestError) as caught:
        params("&".join(f"p{number}=1" for number in range(21)))
    assert caught.value.errors == ["Invalid query: at most 20 parameters; got 21"]
    assert len(errors("&".join(f"p{n}=1" for n in range(20)), read=lambda _: None)) == 20
