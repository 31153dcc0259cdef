"""Patterns of names, in which `*` stands for any characters or none."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function: whether a name matches any of these names and patterns.

    In a pattern `*` stands for any characters or none. No name matches if there are no patterns.
    """
    some = frozenset(patterns)
    names = frozenset(each for each in some if "*" not in each)
    globs = [_Glob.of(each) for each in sorted(some - names)]
    return lambda name: name in names or any(_matches(each, name) for each in globs)


class _Glob(NamedTuple):
    """A pattern, divided at each `*`."""

    first: str
    middle: Sequence[str]
    last: str

    @classmethod
    def of(cls, pattern: str) -> "_Glob":
        first, *middle, last = pattern.split("*")
        return cls(first, [each for each in middle if each], last)


def _matches(glob: _Glob, name: str) -> bool:
    """Whether a name matches; this takes time in proportion to the length of both."""
    first, middle, last = glob
    if not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end
