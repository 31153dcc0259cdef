"""RFC 3339 times of requests."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

RULE: Final = "an RFC 3339 time such as 2026-01-02T03:04:05Z"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_parts = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
).fullmatch


def parse_ms(text: str) -> int:
    """Return unix milliseconds, a fraction of one rounded up, or raise ValueError.

    In a query string an unescaped `+` means a space, so `03:04:05 02:00` is what becomes
    of the offset `+02:00`; nothing else can be meant by it.
    """
    parts = _parts(text)
    if parts is None:
        raise ValueError(f"must be {RULE}; got {text!r}")
    day, clock, fraction, zone = parts.groups()
    zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        time = datetime.fromisoformat(f"{day}T{clock}{zone}")
        since = time - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"must be {RULE}; got {text!r}: {error}") from error
    digits = f"{fraction or ''}000"
    milliseconds = int(digits[:3]) + (int(f"0{digits[3:]}") > 0)
    return since // timedelta(milliseconds=1) + milliseconds
