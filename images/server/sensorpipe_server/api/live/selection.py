"""Which windows a client has asked for. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sensorpipe_server.storage.reads.extents import matches


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function: whether a facility matches any of these names and patterns.

    All facilities match if there are none.
    """
    names = frozenset(each for each in patterns if "*" not in each)
    globs = [each for each in patterns if "*" in each]
    if not patterns:
        return lambda _: True
    return lambda name: name in names or any(matches(each, name) for each in globs)


@dataclass(frozen=True, slots=True)
class Selection:
    """Facilities and sensors; clients with an equal one share what they are sent."""

    facilities: tuple[str, ...] = ()
    """Names, and patterns with `*`; all facilities if it is empty."""
    sensors: tuple[str, ...] = ()
    """Names; all sensors if it is empty."""
