from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CompactedReading(_message.Message):
    __slots__ = ("facility", "window_start_ms", "window_end_ms", "origin", "sensors", "itemized", "holds")
    FACILITY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_MS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_MS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SENSORS_FIELD_NUMBER: _ClassVar[int]
    ITEMIZED_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    facility: str
    window_start_ms: int
    window_end_ms: int
    origin: Origin
    sensors: _containers.RepeatedCompositeFieldContainer[SensorSummary]
    itemized: bool
    holds: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, facility: _Optional[str] = ..., window_start_ms: _Optional[int] = ..., window_end_ms: _Optional[int] = ..., origin: _Optional[_Union[Origin, _Mapping]] = ..., sensors: _Optional[_Iterable[_Union[SensorSummary, _Mapping]]] = ..., itemized: _Optional[bool] = ..., holds: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("run", "bounds")
    RUN_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    run: int
    bounds: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, run: _Optional[int] = ..., bounds: _Optional[_Iterable[int]] = ...) -> None: ...

class Origin(_message.Message):
    __slots__ = ("compactor", "run", "number", "newest_ms")
    COMPACTOR_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NEWEST_MS_FIELD_NUMBER: _ClassVar[int]
    compactor: str
    run: int
    number: int
    newest_ms: int
    def __init__(self, compactor: _Optional[str] = ..., run: _Optional[int] = ..., number: _Optional[int] = ..., newest_ms: _Optional[int] = ...) -> None: ...

class SensorSummary(_message.Message):
    __slots__ = ("sensor", "count", "mean", "m2", "min", "max", "sketch", "sources", "unit")
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    M2_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    SKETCH_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    sensor: str
    count: int
    mean: float
    m2: float
    min: float
    max: float
    sketch: Sketch
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    unit: str
    def __init__(self, sensor: _Optional[str] = ..., count: _Optional[int] = ..., mean: _Optional[float] = ..., m2: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., sketch: _Optional[_Union[Sketch, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., unit: _Optional[str] = ...) -> None: ...

class Sketch(_message.Message):
    __slots__ = ("positive_keys", "positive_counts", "negative_keys", "negative_counts", "zeros")
    POSITIVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ZEROS_FIELD_NUMBER: _ClassVar[int]
    positive_keys: _containers.RepeatedScalarFieldContainer[int]
    positive_counts: _containers.RepeatedScalarFieldContainer[int]
    negative_keys: _containers.RepeatedScalarFieldContainer[int]
    negative_counts: _containers.RepeatedScalarFieldContainer[int]
    zeros: int
    def __init__(self, positive_keys: _Optional[_Iterable[int]] = ..., positive_counts: _Optional[_Iterable[int]] = ..., negative_keys: _Optional[_Iterable[int]] = ..., negative_counts: _Optional[_Iterable[int]] = ..., zeros: _Optional[int] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("src", "bounds", "values", "sparse", "count", "duplicates")
    SRC_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    src: str
    bounds: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    sparse: bool
    count: int
    duplicates: int
    def __init__(self, src: _Optional[str] = ..., bounds: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ..., sparse: _Optional[bool] = ..., count: _Optional[int] = ..., duplicates: _Optional[int] = ...) -> None: ...

class Rollup(_message.Message):
    __slots__ = ("windows", "received_ms", "sensors", "unreadable")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MS_FIELD_NUMBER: _ClassVar[int]
    SENSORS_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    windows: int
    received_ms: int
    sensors: _containers.RepeatedCompositeFieldContainer[RollupSensor]
    unreadable: int
    def __init__(self, windows: _Optional[int] = ..., received_ms: _Optional[int] = ..., sensors: _Optional[_Iterable[_Union[RollupSensor, _Mapping]]] = ..., unreadable: _Optional[int] = ...) -> None: ...

class RollupSensor(_message.Message):
    __slots__ = ("summary", "windows")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    summary: SensorSummary
    windows: int
    def __init__(self, summary: _Optional[_Union[SensorSummary, _Mapping]] = ..., windows: _Optional[int] = ...) -> None: ...
