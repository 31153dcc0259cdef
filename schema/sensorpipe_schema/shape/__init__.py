"""Shapes of documents: what each field may hold, as data that reads, checks and writes it.

Every shape finds all that is wrong at once, and says what is allowed and what was given.
"""

from sensorpipe_schema.shape.base import FieldProblem, Problems, Shape, shown
from sensorpipe_schema.shape.containers import Choice, Field, Listing, Record
from sensorpipe_schema.shape.leaves import Duration, Flag, Mapped, Number, Quantity, Text, Whole

__all__ = [
    "Choice",
    "Duration",
    "Field",
    "FieldProblem",
    "Flag",
    "Listing",
    "Mapped",
    "Number",
    "Problems",
    "Quantity",
    "Record",
    "Shape",
    "Text",
    "Whole",
    "shown",
]
