"""Conditions as KEP-1623 has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sensorpipe_operator.names import Body

_MAX_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of a Sensor: `detail` may vary while the rest stays the same."""

    reason: str
    message: str
    detail: str = ""
    holds: bool = False

    @property
    def text(self) -> str:
        """The whole message."""
        full = f"{self.message}: {self.detail}" if self.detail else self.message
        return full if len(full) <= _MAX_MESSAGE else f"{full[: _MAX_MESSAGE - 1]}…"


def with_condition(
    conditions: Iterable[Body], kind: str, verdict: Verdict, *, generation: int, now: str
) -> list[Body]:
    """Return the conditions with one set; the others, whoever's they are, stay.

    `lastTransitionTime` moves only with the status. While only the detail differs, the message
    stays too: an image's back-off, say, is worded anew with each attempt.
    """
    others = [condition for condition in conditions if condition["type"] != kind]
    former = next((condition for condition in conditions if condition["type"] == kind), {})
    status = "True" if verdict.holds else "False"
    same = (former.get("status"), former.get("reason")) == (status, verdict.reason)
    told = str(former.get("message", ""))
    keeps = same and verdict.detail and told.startswith(f"{verdict.message}: ")
    condition = {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "reason": verdict.reason,
        "message": told if keeps else verdict.text,
        "lastTransitionTime": former["lastTransitionTime"]
        if former.get("status") == status
        else now,
    }
    return sorted([*others, condition], key=lambda held: str(held["type"]))
