"""Answers as examples in the OpenAPI document, as JSON has them."""

import json
from typing import Any, Final

_WINDOW: Final = {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"}

WINDOWS: Final[dict[str, Any]] = {
    "data": [
        {
            "facility_name": "hall_1",
            "window": _WINDOW,
            "received_at": "2026-11-27T10:00:13.207Z",
            "complete": True,
            "avg_temperature": 20.4,
            "min_temperature": 19.8,
            "max_temperature": 21.1,
            "stdev_temperature": 0.3,
            "count_temperature": 100,
        }
    ],
    "pagination": {"offset": 0, "limit": 20, "total": 1},
}

STATS: Final[list[dict[str, Any]]] = [
    {
        "_id": "hall_1",
        "temperature": {
            "stdev": 0.3,
            "avg": 20.4,
            "min": 19.8,
            "max": 21.1,
            "count": 36000,
            "p50": 20.4,
            "p95": 20.9,
            "p99": 21.0,
        },
    }
]

FACILITIES: Final[dict[str, Any]] = {
    "data": [
        {
            "facility_name": "hall_1",
            "sensors": ["humidity", "temperature"],
            "units": {"temperature": "°C"},
            "last_window": _WINDOW,
        }
    ]
}

_ROW: Final = {
    "time": "2026-11-27T10:00:00Z",
    "facility": "hall_1",
    "sensor": "temperature",
    "avg": 20.4,
    "min": 19.8,
    "max": 21.1,
    "count": 3000,
    "complete": True,
}

SERIES: Final[dict[str, Any]] = {
    "every": "5m",
    "from": "2026-11-27T10:00:00Z",
    "to": "2026-11-27T11:00:00Z",
    "units": {"temperature": "°C"},
    "data": [_ROW],
}

SERIES_CSV: Final = (
    "time,facility,sensor,avg,min,max,count,complete\r\n"
    "2026-11-27T10:00:00Z,hall_1,temperature,20.4,19.8,21.1,3000,true\r\n"
)

SERIES_LINES: Final = json.dumps(_ROW) + "\n"

DEAD_LETTERS: Final[dict[str, Any]] = {
    "data": [
        {
            "at": "2026-11-27T10:00:00.250Z",
            "topic": "sensor_readings/hall_1/temperature",
            "reason": "bad_val",
            "detail": "val is the string '20.1'; a number is expected",
            "what_to_do": "send val as a number without quotes",
            "feed": None,
            "payload": '{"ts": 1795773600000, "val": "20.1"}',
            "payload_encoding": "utf-8",
            "payload_bytes": 36,
            "kept_at": {"topic": "sensor_readings.dead_letter", "partition": 1, "offset": 17},
            "read_from": None,
        }
    ],
    "complete": True,
    "since": None,
    "looked_at": 1,
    "topics": [
        {"topic": "sensor_readings.dead_letter", "held": 1},
        {"topic": "compacted_sensor_readings.dead_letter", "held": 0},
    ],
}
