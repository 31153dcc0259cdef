"""Makes text from outside safe to print in a terminal, and measures its width there."""

import unicodedata
from typing import Final

_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that move the cursor, reorder text, end a line or are blank."""


def printable(text: str) -> str:
    r"""Return text with unprintable characters as escapes: `\n`, `\x1b`, `\u202e`.

    A backslash is doubled, so that different texts look different.
    """
    return printable_line(text.replace("\\", r"\\"))


def printable_line(line: str) -> str:
    """Return a log line with unprintable characters as escapes; backslashes are not doubled."""
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _UNPRINTABLE
        else char
        for char in line
    )


def width(text: str) -> int:
    """Return the width of printable text in terminal columns."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
