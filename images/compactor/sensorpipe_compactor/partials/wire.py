"""Protobuf's wire format, many numbers at a time.

A field is a tag, `number << 3 | wire type`, and a value; zeros and what is empty are left out:

    wire type 0   varint    an integer, 7 bits a byte, lowest first; 0x80 in all bytes but the last
    wire type 1   8 bytes   a double or fixed64, little-endian
    wire type 2   length    a varint, and so many bytes: a text, a message or a list of numbers

Where a docstring draws a message, it gives the tags of its fields in hexadecimal.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


_LOW: Final = 0x7F
"""The bits of a varint's byte that are of the integer."""

_MORE: Final = 0x80
"""The bit of a varint's byte that says that another one follows."""


class _Varints(dict[int, bytes]):
    """The varint of each integer that is not negative; the shortest are kept."""

    def __missing__(self, number: int) -> bytes:
        data = bytearray()
        while number > _LOW:
            data.append(number & _LOW | _MORE)
            number >>= 7
        data.append(number)
        return bytes(data)


VARINT: Final = _Varints()
"""The varint of each integer that is not negative."""

VARINT.update((number, VARINT[number]) for number in range(1 << 14))  # those of up to two bytes

_LIMITS: Final = 1 << np.arange(7, 63, 7)
"""The lowest integers whose varints take 2, 3, … 9 bytes."""


def text(value: str) -> bytes:
    """Return a text with its length before it."""
    data = value.encode()
    return VARINT[len(data)] + data


def varints(numbers: Ints) -> list[bytes]:
    """Return the varint of each of the integers, which are not negative."""
    sizes = _varint_sizes(numbers)
    ends = sizes.cumsum()
    data = np.empty(sizes.sum(), np.uint8)
    _write_varints(data, ends - sizes, numbers)
    return cut(data, ends)


class Lists(NamedTuple):
    """A field of many messages: lists of integers that are not negative, one after the other."""

    tag: int
    numbers: Ints
    counts: Ints
    """The length of each list. The field of an empty one has no bytes."""


def packed_fields(fields: Sequence[Lists]) -> list[bytes]:
    """Return these fields of each message, one after the other."""
    layouts = [_layout(each) for each in fields]
    totals = np.sum([layout.heads + layout.sizes for layout in layouts], axis=0)
    data, at = np.empty(totals.sum(), np.uint8), totals.cumsum() - totals
    for (tag, numbers, counts), (heads, sizes, offsets) in zip(fields, layouts, strict=True):
        filled, lengths = at[counts > 0], sizes[counts > 0]
        data[filled] = tag
        _write_varints(data, filled + 1, lengths)
        _write_varints(data, np.repeat(at + heads, counts) + offsets, numbers)
        at += heads + sizes
    return cut(data, totals.cumsum())


class _Layout(NamedTuple):
    """How many bytes a field takes in each message."""

    heads: Ints
    """Of the tag and the size."""
    sizes: Ints
    """Of the list."""
    offsets: Ints
    """Where each number is in its list."""


def _layout(lists: Lists) -> _Layout:
    ends = np.concatenate(([0], _varint_sizes(lists.numbers).cumsum()))
    list_ends = ends[lists.counts.cumsum()]
    sizes = np.diff(list_ends, prepend=0)
    heads = np.where(sizes > 0, 1 + _varint_sizes(sizes), 0)
    return _Layout(heads, sizes, ends[:-1] - np.repeat(list_ends - sizes, lists.counts))


def cut(data: Bytes, ends: Ints) -> list[bytes]:
    """Return pieces of the data, by the end of each."""
    whole = data.tobytes()
    return [whole[start:end] for start, end in pairwise((0, *ends.tolist()))]


def _varint_sizes(numbers: Ints) -> Ints:
    return np.searchsorted(_LIMITS, numbers, side="right") + 1


def _write_varints(data: Bytes, at: Ints, numbers: Ints) -> None:
    """Write varints that begin at these places of the data."""
    data[at] = numbers & _LOW
    (longer,) = np.nonzero(numbers > _LOW)
    while len(longer):
        at, numbers = at[longer], numbers[longer] >> 7
        data[at] |= _MORE
        at += 1
        data[at] = numbers & _LOW
        (longer,) = np.nonzero(numbers > _LOW)
