"""InfluxDB's line protocol."""

from typing import Any

import pytest
from sensorpipe_schema.feed.decoder import Readings
from sensorpipe_schema.feed.influx import BadLineError, parse_lines
from sensorpipe_schema.feed.values import RefusedMessageError
from support.feeds import NOW, decoded


def parsed(text: str) -> list[dict[str, Any]]:
    return list(parse_lines(text.encode()))


def test_a_line_has_measurement_tags_fields_and_timestamp() -> None:
    assert parsed('cpu,host=a,core=0 idle=98.5,n=3i,u=4u,up=t,msg="a b, c=d" 1434055562') == [
        {
            "measurement": "cpu",
            "tags": {"host": "a", "core": "0"},
            "fields": {"idle": 98.5, "n": 3, "u": 4, "up": True, "msg": "a b, c=d"},
            "timestamp": 1434055562,
        }
    ]  # fmt: skip


def test_escapes_comments_and_several_lines() -> None:
    found = parsed('# a comment\nmy\\ cpu,a\\,b=c\\=d x=1\n\ny z="q\\"r \\\\" 5\r\n')
    assert found == [
        {"measurement": "my cpu", "tags": {"a,b": "c=d"}, "fields": {"x": 1.0}},
        {"measurement": "y", "tags": {}, "fields": {"z": 'q"r \\'}, "timestamp": 5},
    ]


@pytest.mark.parametrize(
    "line",
    [
        *("cpu", "cpu x", "cpu x=", "cpu =1", "cpu x=1 now", "cpu x=1 5 6", 'cpu x="a', "cpu x=a"),
        *("cpu,host x=1", "cpu x=1,", "cpu x=1i2", "cpu x=nan", "cpu x=0x1"),
        *("cpu x=1e999", "cpu x=-1e999", "cpu x==1"),
    ],
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(BadLineError):
        parsed(line)


def test_lines_become_readings() -> None:
    spec: dict[str, Any] = {
        "payload": "influx",
        "facility": "{/tags/host}",
        "time": {"at": "/timestamp"},
        "readings": [{"sensor": "{/measurement}_idle", "at": "/fields/idle"}],
    }
    assert decoded("cpu,host=B idle=1i 1434055562000000000\ncpu,host=c idle=2 1434055563000000000",
                   **spec) == [
        Readings("b", 1434055562000, None, 0, [("cpu_idle", 1.0)]),
        Readings("c", 1434055563000, None, 0, [("cpu_idle", 2.0)]),
    ]  # fmt: skip
    with pytest.raises(RefusedMessageError, match="not_influx: Feed test: "):
        decoded("{}", **spec)
    spec.pop("time")
    assert decoded("cpu,host=b idle=1", **spec)[0].ts == NOW
