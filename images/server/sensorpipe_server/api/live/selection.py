"""Which windows a client has asked for. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selection:
    """Facilities and sensors; clients with an equal one share what they are sent."""

    facilities: tuple[str, ...] = ()
    """Names, and patterns with `*`; all facilities if it is empty."""
    sensors: tuple[str, ...] = ()
    """Names; all sensors if it is empty."""
    granted: tuple[str, ...] = ("*",)
    """Names and patterns of the facilities that the client may read; only those are selected."""
