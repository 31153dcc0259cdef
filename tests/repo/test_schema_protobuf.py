"""The schema as a contract: fresh generated code, pinned numbers, readable by both neighbours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from sensorpipe_schema import compacted_reading_pb2, partial
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch
from support.partials import decode
from support.services import ROOT

GENERATED = ("compacted_reading_pb2.py", "compacted_reading_pb2.pyi")

NUMBERS = {
    "CompactedReading": {
        "facility": (1, "string"),
        "window_start_ms": (2, "int64"),
        "window_end_ms": (3, "int64"),
        "origin": (4, "message"),
        "sensors": (5, "repeated message"),
        "itemized": (6, "bool"),
        "holds": (7, "repeated message"),
    },
    "Held": {
        "run": (1, "fixed64"),
        "bounds": (2, "repeated uint64"),
    },
    "Origin": {
        "compactor": (1, "string"),
        "run": (2, "fixed64"),
        "number": (3, "uint64"),
        "newest_ms": (4, "int64"),
    },
    "SensorSummary": {
        "sensor": (1, "string"),
        "count": (2, "uint64"),
        "mean": (3, "double"),
        "m2": (4, "double"),
        "min": (5, "double"),
        "max": (6, "double"),
        "sketch": (7, "message"),
        "sources": (8, "repeated message"),
        "unit": (9, "string"),
    },
    "Sketch": {
        "positive_keys": (1, "repeated sint32"),
        "positive_counts": (2, "repeated uint64"),
        "negative_keys": (3, "repeated sint32"),
        "negative_counts": (4, "repeated uint64"),
        "zeros": (5, "uint64"),
    },
    "Source": {
        "src": (1, "string"),
        "bounds": (2, "repeated uint64"),
        "values": (3, "repeated double"),
        "sparse": (4, "bool"),
        "count": (5, "uint64"),
        "duplicates": (6, "uint64"),
    },
    "Rollup": {
        "windows": (1, "uint64"),
        "received_ms": (2, "int64"),
        "sensors": (3, "repeated message"),
        "unreadable": (4, "uint64"),
    },
    "RollupSensor": {
        "summary": (1, "message"),
        "windows": (2, "uint64"),
    },
}
"""What messages in Kafka hold. A field may be added; none of these may change or go."""

TYPES = {
    getattr(FieldDescriptor, f"TYPE_{kind.upper()}"): kind
    for kind in ("string", "bool", "int64", "uint64", "fixed64", "sint32", "double", "message")
}


def test_the_generated_code_is_fresh(tmp_path: Path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = ROOT / "schema/generate.sh"
    subprocess.run([script, tmp_path], check=True, env=os.environ | {"PATH": path})
    for name in GENERATED:
        committed = ROOT / "schema/sensorpipe_schema" / name
        fresh = (tmp_path / name).read_bytes()
        assert committed.read_bytes() == fresh, "run schema/generate.sh and commit what it writes"


def kind(field: FieldDescriptor) -> str:
    return ("repeated " if field.is_repeated else "") + TYPES[field.type]


def test_the_package_is_versioned():
    assert compacted_reading_pb2.DESCRIPTOR.package == "sensorpipe.v1"


@pytest.mark.parametrize("name", NUMBERS)
def test_no_field_is_renumbered_retyped_or_removed(name):
    message = compacted_reading_pb2.DESCRIPTOR.message_types_by_name[name]
    fields = {field.name: (field.number, kind(field)) for field in message.fields}
    assert fields.items() >= NUMBERS[name].items()


def test_every_message_is_pinned():
    messages = compacted_reading_pb2.DESCRIPTOR.message_types_by_name
    assert {name: len(message.fields) for name, message in messages.items()} == {
        name: len(fields) for name, fields in NUMBERS.items()
    }, "pin what was added, too"


def later_schema():
    """Return the class of a later CompactedReading, with a new field in every message."""
    file = descriptor_pb2.FileDescriptorProto()
    compacted_reading_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        message.field.add(
            name="added", number=100, type=FieldDescriptor.TYPE_STRING, label=1, json_name="added"
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("sensorpipe.v1.CompactedReading")
    )


def a_partial() -> Partial:
    values = [21.5, 22.5, 0.0, -4.0]
    summary = Summary(Moments.of(values), Sketch.of(values), {"run-1": [(1, 4)]})
    return Partial("facility_1", 10_000, 20_000, Origin("c", 1, 2, 3), {"humidity": summary})


def test_a_message_of_a_later_schema_stays_readable():
    later = later_schema().FromString(partial.encode(a_partial()))
    summary = later.sensors[0]
    for message in (later, later.origin, summary, summary.sketch, summary.sources[0]):
        message.added = "something new"
    assert decode(later.SerializeToString()) == a_partial()


def test_a_later_program_reads_a_message_of_this_schema():
    later = later_schema().FromString(partial.encode(a_partial()))
    assert (later.facility, later.added, later.origin.added) == ("facility_1", "", "")


def test_what_a_later_schema_added_survives_being_passed_on():
    later = later_schema().FromString(partial.encode(a_partial()))
    later.added = "kept"
    passed_on = partial.parse(later.SerializeToString()).SerializeToString()
    assert later_schema().FromString(passed_on).added == "kept"


def test_an_older_message_without_the_newer_fields_decodes():
    message = partial.parse(partial.encode(a_partial()))
    message.origin.ClearField("newest_ms")
    message.sensors[0].ClearField("sources")
    got = decode(message.SerializeToString())
    assert got.origin == Origin("c", 1, 2, 0)
    assert got.sensors["humidity"].sources == {}
