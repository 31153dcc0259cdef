"""CompactedReading as betterproto and betterproto2 have it, made from our own descriptor.

The classes are as their compilers write them: dataclasses with the same base and fields.
"""

from collections.abc import Callable
from dataclasses import make_dataclass
from types import GenericAlias
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading

KINDS: dict[int, tuple[str, Any]] = {
    FieldDescriptor.TYPE_STRING: ("string", str),
    FieldDescriptor.TYPE_INT64: ("int64", int),
    FieldDescriptor.TYPE_UINT64: ("uint64", int),
    FieldDescriptor.TYPE_SINT32: ("sint32", int),
    FieldDescriptor.TYPE_DOUBLE: ("double", float),
}

Messages = dict[str, Any]
"""Message classes by name."""


def messages(
    base: type,
    declare: Callable[..., Any],
    *,
    declares_presence: bool = False,
    of: Any = CompactedReading.DESCRIPTOR,
) -> Messages:
    """Return a message's class and those of the messages in it."""
    made: Messages = {}
    fields = []
    for field in of.fields:
        kind, held = KINDS.get(field.type, ("message", None))
        if field.message_type:
            inner = field.message_type
            made |= messages(base, declare, declares_presence=declares_presence, of=inner)
            held = made[inner.name]
        presence = {}
        if declares_presence:  # betterproto reads it from the annotation
            presence = {"repeated": field.is_repeated}
            presence["optional"] = kind == "message" and not field.is_repeated
        annotation = GenericAlias(list, held) if field.is_repeated else held
        fields.append((field.name, annotation, declare(field.number, kind, **presence)))
    made[of.name] = make_dataclass(of.name, fields, bases=(base,), eq=False, repr=False)
    return made
