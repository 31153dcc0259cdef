"""Structured logs: one JSON object per line on standard output, constant messages plus fields."""

import logging
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Final, TextIO

import msgspec

from sensorpipe_runtime.throttled_log import LibraryThrottle

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


class JsonFormatter(logging.Formatter):
    """Formats a log record as JSON, with the fields given as `extra=` beside the message."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102  inherited
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((k, v) for k, v in record.__dict__.items() if k not in _PLAIN)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _one_line(line)


def _one_line(line: dict[str, object]) -> str:
    """Return the line as JSON; if a value cannot be serialized, all appear as text in ASCII."""
    try:
        return _encode(line).decode()
    except (ValueError, TypeError, RecursionError):
        return _encode({key: ascii(value) for key, value in line.items()}).decode()


def setup(program: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs of the process, those of libraries included, to `stream` as JSON lines."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stdout)
    handler.setFormatter(JsonFormatter(program))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("aiokafka.consumer", "aiokafka.producer", "pymongo"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It logs each failed attempt as an error; the programs log their own view of it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for library in ("aiokafka", "pymongo"):
        handler.addFilter(LibraryThrottle(library, partial(_emit, handler)))


def _emit(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Write a record without the filters, under the lock of the handler."""
    handler.acquire()
    try:
        handler.emit(record)
    finally:
        handler.release()
