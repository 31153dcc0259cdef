"""Single values of a signal, as the reading with a certain `seq` has them."""

from sensorpipe_generator.signal import Series


def value_of_seq(series: Series, seq: int) -> float:
    """Return the value of the reading with this `seq`, if its run gave up none before it."""
    tick, device = divmod(seq - 1, series._count)
    return float(series.at(tick)[device])
