"""Topics of a Feed: which messages it takes, and what the levels of their topics are called.

`{x}` stands for one level and names it, `{x...}` for one or more levels at the end, `+` for one
level without a name. None of them stands for a level that begins with `$`.
"""

import re
from dataclasses import dataclass
from typing import Final

from sensorpipe_schema.names import READINGS_PREFIX, is_name
from sensorpipe_schema.topic_filters import overlap

TOPIC_RULE: Final = (
    "levels separated by '/', each a name, {x}, + or, at the end, {x...}; "
    "not below sensor_readings/, and at most 256 characters"
)
MAX_TOPIC: Final = 256
"""Largest number of characters of a topic template."""

_named: Final = re.compile(r"\{([a-z][a-z0-9_]{0,30})(\.\.\.)?\}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class TopicTemplate:
    """A parsed topic template."""

    text: str
    levels: tuple[str | None, ...]
    """Each level as it must be, or None for any; without the rest, if that is named."""
    names: tuple[str | None, ...]
    """The name of each level, None for a literal level or `+`."""
    rest: str | None
    """The name of the rest of the topic, None if there is none."""

    @classmethod
    def parse(cls, text: str) -> "TopicTemplate":
        """Parse a template; raise ValueError saying what is wrong."""
        if not 0 < len(text) <= MAX_TOPIC or not text.isprintable():
            raise ValueError(f"must be {TOPIC_RULE}")
        levels: list[str | None] = []
        names: list[str | None] = []
        rest: str | None = None
        for level in text.split("/"):
            if rest is not None:
                raise ValueError(f"{{{rest}...}} must be the last level")
            found = _named(level)
            if found is None and level != "+" and any(sign in level for sign in "{}+#"):
                raise ValueError(f"{level!r} must be a whole level: a name, {{x}}, {{x...}} or +")
            if found and found[2]:
                rest = found[1]
                continue
            levels.append(None if found or level == "+" else level)
            names.append(found[1] if found else None)
        given = [name for name in (*names, rest) if name is not None]
        if len(set(given)) < len(given):
            raise ValueError("each {x} must have a name of its own")
        return cls(text, tuple(levels), tuple(names), rest)

    @property
    def filter(self) -> str:
        """The MQTT topic filter that covers the template."""
        levels = ["+" if level is None else level for level in self.levels]
        return "/".join([*levels, "#"] if self.rest is not None else levels)

    @property
    def all_names(self) -> tuple[str, ...]:
        """All names, in the order of their levels."""
        return tuple(name for name in (*self.names, self.rest) if name is not None)

    def match(self, topic: str) -> dict[str, str] | None:
        """Return what each name stands for in `topic`; None if the topic is not of this kind."""
        parts = topic.split("/")
        if parts[0] == READINGS_PREFIX:
            return None
        many = len(self.levels)
        if len(parts) < many or (len(parts) > many) != (self.rest is not None):
            return None
        found: dict[str, str] = {}
        for level, name, part in zip(self.levels, self.names, parts, strict=False):
            if level != part and (level is not None or part.startswith("$")):
                return None
            if name is not None:
                found[name] = part
        if self.rest is not None:
            if any(part.startswith("$") for part in parts[many:]):
                return None
            found[self.rest] = "/".join(parts[many:])
        return found

    def overlaps(self, other: "TopicTemplate") -> bool:
        """Whether a topic exists that both filters cover."""
        return overlap(self.filter.split("/"), other.filter.split("/"))

    def covers_readings(self) -> bool:
        """Whether the filter covers topics of readings, `sensor_readings/FACILITY/SENSOR`.

        A filter that begins with `+` and covers the topic of just one facility and sensor, as
        `+/events/rpc` does, is let pass: a message there is a reading and never the Feed's, and a
        broker that delivers it twice does so within the promise of "at least once".
        """
        parts = self.filter.split("/")
        if parts[0] == READINGS_PREFIX:
            return True
        if parts[0] not in {"+", "#"}:
            return False
        if not overlap(parts, [READINGS_PREFIX, "+", "+"]):
            return False
        return not (len(parts) == 3 and all(map(is_name, parts[1:])))  # noqa: PLR2004  three levels
