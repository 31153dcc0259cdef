"""Text from elsewhere, made safe to print in a terminal, and how wide it is there."""

import unicodedata
from typing import Final

_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what moves the cursor, reorders text, ends a line, or shows nothing."""


def printable(text: str) -> str:
    r"""Return text from elsewhere for a terminal: what is not printable as `\n`, `\x1b`, `\u202e`.

    A backslash becomes two, so that no two texts are shown alike.
    """
    return printable_line(text.replace("\\", r"\\"))


def printable_line(line: str) -> str:
    """Return a line of a log for a terminal; its backslashes, as of JSON, stay as they are."""
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _UNPRINTABLE
        else char
        for char in line
    )


def width(text: str) -> int:
    """Return how many columns of a terminal printable text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
