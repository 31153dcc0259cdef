"""Garbage collection for a program that makes many short-lived objects and hardly a cycle."""

import gc
from typing import Final

_YOUNG: Final = 50_000
"""A batch of documents; collecting in the midst of one would look through it in vain."""


def settle() -> None:
    """Leave what is loaded by now out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
