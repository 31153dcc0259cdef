"""What is known of a run at one moment: all that the views show, and nothing else."""

from dataclasses import dataclass

from sensorpipe_cli.client.figures import Figures


@dataclass(frozen=True, slots=True)
class PartState:
    """One process, as shown."""

    name: str
    state: str
    address: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a view needs."""

    events: tuple[str, ...]
    """What happened so far, a line each."""
    phase: str
    elapsed: float
    """Seconds since everything was up; 0 before."""
    limit: float | None
    """The duration asked for."""
    parts: tuple[PartState, ...]
    links: tuple[tuple[str, str], ...]
    """(what, URL)"""
    figures: Figures
