"""Garbage collection for a program that makes many short-lived objects and hardly a cycle."""

import gc
from typing import Final

_YOUNG: Final = 50_000
"""More than a batch of packets or documents makes: looking through one is in vain, and with the
default of 700 costs a third of all the work of receiving."""


def settle() -> None:
    """Leave what is loaded by now out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
