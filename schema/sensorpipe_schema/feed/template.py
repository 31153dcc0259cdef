"""Templates of names: text with `{x}` for a level of the topic and `{/path}` for a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sensorpipe_schema.feed.pointer import Pointer, parse_pointer
from sensorpipe_schema.mistakes import as_name

MAX_TEMPLATE: Final = 128
"""Largest number of characters of a template."""

TEMPLATE_RULE: Final = "text, with {x} for a level of the topic, {/path} for a value of the payload"

_reference: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A parsed template of the name of a facility or sensor."""

    text: str
    parts: tuple[str, ...]
    """Literal text, one more than there are references."""
    references: tuple[str | Pointer, ...]
    """What stands between the parts: names of levels, and paths into the payload."""

    @classmethod
    def parse(cls, text: str) -> "NameTemplate":
        """Parse a template; raise ValueError saying what is wrong."""
        if not 0 < len(text) <= MAX_TEMPLATE or not text.isprintable():
            raise ValueError(f"must be {TEMPLATE_RULE}, 1 to {MAX_TEMPLATE} characters")
        pieces = _reference.split(text)
        parts, inside = pieces[::2], pieces[1::2]
        if any("{" in part or "}" in part for part in parts):
            raise ValueError("has a brace without its pair")
        references = [parse_pointer(each) if each.startswith("/") else each for each in inside]
        return cls(text, tuple(parts), tuple(references))

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """The paths into the payload."""
        return tuple(each for each in self.references if isinstance(each, tuple))

    @property
    def level_names(self) -> tuple[str, ...]:
        """The names of levels of the topic."""
        return tuple(each for each in self.references if isinstance(each, str))

    def fill(self, values: Mapping[str | Pointer, str]) -> str:
        """Return the name; empty if nothing is left of it that a name may have."""
        text = self.parts[0]
        for reference, part in zip(self.references, self.parts[1:], strict=True):
            text += values[reference] + part
        return as_name(text)
