"""The codecs: one window of three sensors with 10,000 readings each, to bytes and back."""

import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import betterproto  # type: ignore[import-not-found]  # only in the bench's own environment
import betterproto2  # type: ignore[import-not-found]  # as above
from bench_partials import partials
from google.protobuf.internal import api_implementation
from library_contest import Contest, Work
from library_messages import Messages, messages
from sensorpipe_schema import partial
from sensorpipe_schema.partial import Origin, Partial, Summary
from support import partials as decoder

SLICE = 0.1
"""Seconds of CPU for each measurement."""

Codec = tuple[Callable[[Partial], bytes], Callable[[bytes], Partial]]


def contests() -> list[Contest]:
    """Return the contests, once every contender has written and read the same."""
    [(_, data)] = partials(1, "bench", 1)
    window = decoder.decode(data)
    codecs = {
        f"protobuf ({api_implementation.Type()})": (partial.encode, decoder.decode),
        "betterproto": _codec(
            messages(betterproto.Message, betterproto.dataclass_field),
            lambda kind, data: kind().parse(data),
        ),
        "betterproto2": _codec(
            messages(betterproto2.Message, betterproto2.field, declares_presence=True),
            lambda kind, data: kind.parse(data),
        ),
    }
    encoding, decoding = {}, {}
    for name, (encode, decode) in codecs.items():
        if encode(window) != data or decode(data) != window:
            raise RuntimeError(f"{name} does not write or read what protobuf does")
        encoding[name] = _repeating(encode, window)
        decoding[name] = _repeating(decode, data)
    return [
        Contest("encode a partial", encoding),
        Contest("decode a partial (protobuf: and check it)", decoding),
    ]


def _codec(kinds: Messages, parse: Callable[[Any, bytes], Any]) -> Codec:
    """Return a contender that does with its own classes what `sensorpipe_schema.partial` does."""
    kind = kinds["CompactedReading"]
    return lambda window: bytes(_message(kinds, window)), lambda data: _partial(parse(kind, data))


def _message(kinds: Messages, window: Partial) -> Any:
    sensors = [_entry(kinds, *item) for item in window.sensors.items()]
    origin = kinds["Origin"](*window.origin)
    start, end = window.window_start_ms, window.window_end_ms
    return kinds["CompactedReading"](window.facility, start, end, origin, sensors)


def _entry(kinds: Messages, name: str, summary: Summary) -> Any:
    m = summary.moments
    sketch = kinds["Sketch"]()
    partial.fill_sketch(sketch, summary.sketch)
    sources = [
        kinds["Source"](src, list(chain.from_iterable(intervals)))
        for src, intervals in summary.sources.items()
    ]
    return kinds["SensorSummary"](name, m.count, m.mean, m.m2, m.min, m.max, sketch, sources)


def _partial(message: Any) -> Partial:
    made = message.origin
    origin = Origin(made.compactor, made.run, made.number, made.newest_ms)
    sensors = {entry.sensor: decoder.read_summary(entry) for entry in message.sensors}
    start, end = message.window_start_ms, message.window_end_ms
    return Partial(message.facility, start, end, origin, sensors)


def _repeating(call: Callable[[Any], object], argument: object) -> Work:
    async def work() -> int:
        done, end = 0, time.process_time() + SLICE
        while time.process_time() < end:
            for _ in range(10):
                call(argument)
            done += 10
        return done

    return work
