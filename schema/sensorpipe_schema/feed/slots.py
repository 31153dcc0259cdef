"""Reads the values of a Feed's paths out of payloads, the fast way where there is one.

The fast way is a type with just the wanted keys, so that everything else is skipped in C. It
takes objects whose numbers are numbers, or text that is one; anything else goes the slow way,
which decodes the whole payload and follows the paths. Both find the same.
"""

import types
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from sensorpipe_schema.feed.pointer import Pointer
from sensorpipe_schema.feed.values import LIMIT

MISSING: Final[Any] = msgspec.UNSET
"""What a path that leads nowhere finds."""

Values = tuple[Any, ...]
"""What the paths lead to, in their order: a value, or MISSING."""

_FINITE: Final = Annotated[float, msgspec.Meta(ge=-LIMIT, le=LIMIT)]
NUMBER: Final = _FINITE | bool | None | msgspec.UnsetType
TIME: Final = datetime | float | None | msgspec.UnsetType
UNIX_TIME: Final = float | None | msgspec.UnsetType
ANY: Final = Any
"""Types of values."""

FastReader = tuple[Callable[[bytes], Any], Callable[[Any], Values]]
"""Decodes a payload, and gets the values of what it decodes: two calls, as one more costs."""

ItemsReader = Callable[[bytes], list[Values]]

decode_any: Final = msgspec.json.Decoder().decode

_Tree = dict[str, Any]
"""Keys to trees or, at the end of a path, types."""


def fast_reader(wanted: Sequence[tuple[Pointer, Any]]) -> FastReader | None:
    """Return a reader of the paths with their types; None if the paths are not of the fast kind.

    Decoding raises msgspec.DecodeError, ValueError or RecursionError for a payload that needs the
    slow way, or is not JSON. Every float that it finds is finite.
    """
    planted = _planted(wanted)
    if planted is None:
        return None
    item, get = planted
    return msgspec.json.Decoder(item, strict=False).decode, get


def fast_items_reader(wanted: Sequence[tuple[Pointer, Any]], each: Pointer) -> ItemsReader | None:
    """Return what `fast_reader` does, for the items of an array at `each`."""
    planted = _planted(wanted)
    if planted is None or any(key.isdigit() for key in each):
        return None
    item, get = planted
    try:
        decode, items = _array_decoder(item, each)
    except ValueError:  # a key that msgspec does not take
        return None
    return lambda payload: [get(found) for found in items(decode(payload))]


def read_slowly(payload: bytes, wanted: Sequence[Pointer], each: Pointer | None) -> list[Values]:
    """Return what a fast reader does, for any JSON; raise NotAnArrayError if `each` finds none."""
    decoded = decode_any(payload)
    items = [decoded]
    if each is not None:
        found = find(decoded, each)
        if found is MISSING or found is None:
            return []
        if not isinstance(found, list):
            raise NotAnArrayError
        items = found
    return [pick(item, wanted) for item in items]


def pick(item: Any, wanted: Sequence[Pointer]) -> Values:
    """Return what the paths lead to in a decoded object."""
    return tuple(find(item, pointer) for pointer in wanted)


def find(value: Any, pointer: Pointer) -> Any:
    """Return what a path leads to in a decoded payload, or MISSING."""
    for key in pointer:
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and key.isascii() and key.isdigit():
            at = int(key)
            value = value[at] if at < len(value) else MISSING
        else:
            return MISSING
    return value


class NotAnArrayError(ValueError):
    """What `each` leads to is not an array."""


def _planted(
    wanted: Sequence[tuple[Pointer, Any]],
) -> tuple[type[msgspec.Struct], Callable[[Any], Values]] | None:
    """Return a type that has just the paths, and what gets their values from it."""
    tree: _Tree = {}
    dotted = [_plant(tree, pointer, kind) for pointer, kind in wanted]
    names = [name for name in dotted if name is not None]
    if len(names) < len(dotted) or not names:
        return None
    try:
        item = _struct(tree)
    except ValueError:  # a key that msgspec does not take
        return None
    get = attrgetter(*names)
    return item, (lambda found: (get(found),)) if len(names) == 1 else get


def _plant(tree: _Tree, pointer: Pointer, kind: Any) -> str | None:
    """Add a path to the tree; return its dotted attribute, or None if it does not fit."""
    if not pointer or any(key.isdigit() for key in pointer):
        return None
    *outer, last = pointer
    dotted = []
    for key in outer:
        dotted.append(_attribute(tree, key))
        inner: Any = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            return None
        tree = inner
    known = tree.get(last, kind)
    if isinstance(known, dict):
        return None
    tree[last] = kind if known is kind else ANY
    return ".".join([*dotted, _attribute(tree, last)])


def _attribute(tree: _Tree, key: str) -> str:
    """Return the attribute of a key: its place in the tree, as any key may come."""
    return f"k{list(tree).index(key) if key in tree else len(tree)}"


def _struct(tree: _Tree) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    for i, branch in enumerate(tree.values()):
        if isinstance(branch, dict):
            inner = _struct(branch)
            fields.append((f"k{i}", inner, inner()))  # shared, as it is frozen
        else:
            fields.append((f"k{i}", branch, MISSING))
    keys = {f"k{i}": key for i, key in enumerate(tree)}
    return msgspec.defstruct("Payload", fields, frozen=True, gc=False, rename=keys)


def _array_decoder(item: type[msgspec.Struct], each: Pointer) -> tuple[Any, Any]:
    """Return the decoder of a payload, and what finds the items in what it decodes."""
    items: Any = types.GenericAlias(list, (item,))
    if not each:
        return msgspec.json.Decoder(items, strict=False).decode, lambda found: found
    fields: list[tuple[str, Any, Any]] = [("inner", items, ())]
    outer: Any = None
    for key in reversed(each):
        outer = msgspec.defstruct("Outer", fields, frozen=True, rename={"inner": key})
        fields = [("inner", outer, outer())]
    get = attrgetter(".".join(["inner"] * len(each)))
    return msgspec.json.Decoder(outer, strict=False).decode, get
