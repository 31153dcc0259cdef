"""A clock that tests set."""


class HandClock:
    """Tells `now`, in seconds, which passes only when a test says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
