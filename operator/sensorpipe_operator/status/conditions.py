"""Conditions in the form of KEP-1623 (metav1.Condition)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sensorpipe_operator.names import Body

_MAX_MESSAGE: Final = 1024
"""Largest number of characters in a condition's message."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one condition of a Sensor or Feed holds, and why.

    `detail` may vary while the cause is the same; `reason` and `message` do not.
    """

    reason: str
    """The cause in one word, for programs."""
    message: str
    """The cause in a sentence, for people."""
    detail: str = ""
    """What others report about the cause, for example the kubelet."""
    holds: bool = False
    """Whether the condition is true."""
    unknown: bool = False
    """Whether it is not known."""

    @property
    def text(self) -> str:
        """The message of the condition: at most 1024 characters."""
        full = f"{self.message}: {self.detail}" if self.detail else self.message
        return full if len(full) <= _MAX_MESSAGE else f"{full[: _MAX_MESSAGE - 1]}…"


def condition(
    conditions: Iterable[Body], kind: str, verdict: Verdict, *, generation: int, now: str
) -> Body:
    """Return the new condition of one type, given all `conditions` of the old status.

    `lastTransitionTime` changes only with the status. While only the detail differs, the old
    message is kept: an image's back-off, for example, has another text after each attempt.
    """
    old = next((each for each in conditions if each["type"] == kind), {})
    status = "Unknown" if verdict.unknown else str(verdict.holds)
    same = (old.get("status"), old.get("reason")) == (status, verdict.reason)
    message = str(old.get("message", ""))
    keep = same and verdict.detail and message.startswith(f"{verdict.message}: ")
    return {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "reason": verdict.reason,
        "message": message if keep else verdict.text,
        "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == status else now,
    }
