"""One reading as it travels over MQTT: `{"ts", "val"}` and, from our generators, `src`, `seq`."""

import re
from typing import Annotated, Any, Final

import msgspec

from sensorpipe_schema.mistakes import time_mistake, value_mistake

MAX_PAYLOAD: Final = 8 * 1024
"""Largest size of the payload of a reading, in bytes."""

MAX_AGE_MS: Final = 7 * 24 * 3600 * 1000
"""Largest age of a reading in milliseconds; older ones become dead letters."""

MAX_AHEAD_MS: Final = 60 * 1000
"""Largest time in milliseconds that a reading may be ahead of the compactor's clock.

One far in the future would close all windows of its facility until then.
"""

AHEAD: Final = "ahead_of_time"
"""Reason of the dead letter of a reading that is too far ahead of the clock."""

MAX_SRC: Final = 128
"""Largest number of characters of a `src`."""

MAX_SEQ: Final = 2**63 - 1


class Reading(msgspec.Struct, gc=False):
    """A decoded payload: `ts` in unix milliseconds; `seq` is 0 if it is not given."""

    ts: int
    val: float
    src: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SRC)] | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)] = 0


class BadReadingError(ValueError):
    """A payload that is not a valid reading; `reason` is the reason of the dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


decode_fast: Final = msgspec.json.Decoder(Reading).decode
"""Decode a payload without checking time and size; `explain` translates what it raises."""

_any_json: Final = msgspec.json.Decoder(Any).decode
_encode: Final = msgspec.json.Encoder().encode
_missing_key: Final = re.compile(r"missing required field `(\w+)`").search
_bad_key: Final = re.compile(r"at `\$\.(\w+)`").search


def decode(payload: bytes, now_ms: int) -> Reading:
    """Decode and check a payload at the time `now_ms` (unix), or raise BadReadingError."""
    if len(payload) > MAX_PAYLOAD:
        raise BadReadingError("too_large", f"{len(payload)} bytes; at most {MAX_PAYLOAD}")
    try:
        reading = decode_fast(payload)
    except (ValueError, RecursionError) as error:
        raise explain(payload, error) from error
    check_time(reading.ts, now_ms)
    return reading


def check_time(ts: int, now_ms: int) -> None:
    """Raise BadReadingError if a time is too old, or too far ahead, at the time `now_ms`."""
    if ts < now_ms - MAX_AGE_MS:
        raise BadReadingError("too_old", _time_detail(ts, now_ms, "more than 7 days ago"))
    if ts > now_ms + MAX_AHEAD_MS:
        raise BadReadingError(AHEAD, _time_detail(ts, now_ms, "more than 1 minute ahead"))


def encode(reading: Reading) -> bytes:
    """Return the payload of a reading."""
    content: dict[str, object] = {"ts": reading.ts, "val": reading.val}
    if reading.src is not None:
        content |= {"src": reading.src, "seq": reading.seq}
    return _encode(content)


def explain(payload: bytes, error: Exception) -> BadReadingError:
    """Return why a payload could not be decoded, with one of a fixed set of reasons."""
    decoded = None
    try:
        decoded = _any_json(payload)
    except (ValueError, RecursionError) as not_json:
        # a number that does not fit a double is still JSON
        if "out of range" not in str(not_json):
            return BadReadingError("not_json", str(not_json))
    reason = _reason(str(error))
    mistake = value_mistake(decoded, reason.rpartition("_")[2])
    return BadReadingError(reason, mistake or str(error))


def _time_detail(ts: int, now_ms: int, what: str) -> str:
    return f"ts {ts} {time_mistake(ts, now_ms) or f'is {what}'}"


def _reason(problem: str) -> str:
    """Return the reason for an error message of msgspec: a missing or wrong key."""
    if missing := _missing_key(problem):
        return f"no_{missing[1]}"
    bad = _bad_key(problem)
    if bad is None:
        return "not_an_object"
    if bad[1] == "val" and "out of range" in problem:
        return "val_not_finite"
    return f"bad_{bad[1]}"
