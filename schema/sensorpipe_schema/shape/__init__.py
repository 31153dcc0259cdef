"""Shapes of documents: what each field may contain, as data that reads, checks and writes it.

A shape reports all problems together, with what is allowed and what was given.
"""

from sensorpipe_schema.shape.base import FieldProblem, Problems, Shape, shown
from sensorpipe_schema.shape.containers import Array, Field, OneOf, Record
from sensorpipe_schema.shape.leaves import (
    Boolean,
    Duration,
    Integer,
    Number,
    Quantity,
    StringMap,
    Text,
)

__all__ = [
    "Array",
    "Boolean",
    "Duration",
    "Field",
    "FieldProblem",
    "Integer",
    "Number",
    "OneOf",
    "Problems",
    "Quantity",
    "Record",
    "Shape",
    "StringMap",
    "Text",
    "shown",
]
