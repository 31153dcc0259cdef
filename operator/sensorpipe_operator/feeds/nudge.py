"""When to have the kubelet look at the compactor's ConfigMap: pure."""

from typing import Final

AGAIN_SECONDS: Final = 3.0
"""Seconds after which the kubelet is asked again: it may not have known the new ConfigMap yet."""

MAX_AGAIN_SECONDS: Final = 60.0
"""Longest time between two times; the kubelet looks by itself about as often."""


class Nudge:
    """Which value the annotation of the compactor's pod is to have, so that it is a change.

    It is the digest of the files, and the number of the attempt.
    """

    def __init__(self) -> None:
        self.attempts = 0
        """Attempts to bring the present files to the pod."""
        self._digest = ""
        self._again_at = 0.0

    def value(self, digest: str, annotation: str, now: float) -> str | None:
        """Return what to write where the pod lacks files; None if it is too early to write again.

        `digest` is that of the files, `annotation` what the pod has, and `now` the monotonic time
        in seconds.
        """
        known, _, number = annotation.partition(".")
        if digest != self._digest:
            self._digest, self.attempts, self._again_at = digest, 0, now
        if now < self._again_at:
            return None
        self.attempts += 1
        pause = AGAIN_SECONDS * 2 ** min(self.attempts - 1, 10)
        self._again_at = now + min(MAX_AGAIN_SECONDS, pause)
        again = int(number) + 1 if known == digest and number.isdecimal() else 1
        return f"{digest}.{again}"

    def done(self) -> None:
        """Note that the pod has the files."""
        self._digest, self.attempts = "", 0
