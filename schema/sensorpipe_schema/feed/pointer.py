"""Paths into a payload, as JSON Pointer (RFC 6901): `/a/b`, `/list/0`; "" is the payload itself."""

from typing import Final

Pointer = tuple[str, ...]
"""The keys of a path, from the outside in."""

POINTER_RULE: Final = "a path such as /temperature or /data/0/value; '~1' stands for '/'"
MAX_POINTER: Final = 256
"""Largest number of characters of a path."""

MAX_KEYS: Final = 16
"""Largest number of keys of a path."""


def parse_pointer(text: str) -> Pointer:
    """Parse a path; raise ValueError if it is not one."""
    if not text:
        return ()
    keys = text.split("/")[1:]
    if text[0] != "/" or len(text) > MAX_POINTER or len(keys) > MAX_KEYS:
        raise ValueError(f"must be {POINTER_RULE}")
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)


def write_pointer(pointer: Pointer) -> str:
    """Return the text that `parse_pointer` reads."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in pointer)
