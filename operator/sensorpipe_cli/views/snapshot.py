"""The state of a run at one moment, as far as the views show it."""

from dataclasses import dataclass

from sensorpipe_cli.client.figures import Figures


@dataclass(frozen=True, slots=True)
class PartState:
    """The state of one process."""

    name: str
    state: str
    """What the process does: `starting`, `ready` and so on."""
    address: str
    """Where the process can be reached."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the views show."""

    events: tuple[str, ...]
    """Events so far, one line each."""
    phase: str
    """What the run does now."""
    elapsed: float
    """Seconds since every process was ready; 0 before that."""
    limit: float | None
    """Duration of the run in seconds; None if it has no limit."""
    parts: tuple[PartState, ...]
    """All processes, in the order of starting."""
    links: tuple[tuple[str, str], ...]
    """Links to show, each with its label and its URL or command."""
    figures: Figures
