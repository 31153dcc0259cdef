"""Protobuf's wire format, many numbers at a time.

A field is a tag, `number << 3 | wire type`, and a value; zeros and what is empty are left out:

    wire type 0   varint    an integer, 7 bits a byte, lowest first; 0x80 in all bytes but the last
    wire type 1   8 bytes   a double or fixed64, little-endian
    wire type 2   length    a varint, and so many bytes: a text, a message or a list of numbers

Where a docstring draws a message, it gives the tags of its fields in hexadecimal.
"""

from itertools import pairwise
from typing import Any, Final

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


def packed_fields(tag: int, numbers: Ints, counts: Ints) -> list[bytes]:
    """Return the fields of lists of integers that are not negative, one after the other.

    `counts` has the length of each list. The field of an empty one has no bytes.
    """
    ends = np.concatenate(([0], _varint_sizes(numbers).cumsum()))
    sizes = np.diff(ends[counts.cumsum()], prepend=0)
    is_filled = counts > 0
    head_sizes = np.where(is_filled, 1 + _varint_sizes(sizes), 0)
    field_ends = (head_sizes + sizes).cumsum()
    heads = (field_ends - sizes - head_sizes)[is_filled]
    data = np.empty(head_sizes.sum() + ends[-1], np.uint8)
    data[heads] = tag
    _write_varints(data, heads + 1, sizes[is_filled])
    _write_varints(data, ends[:-1] + np.repeat(head_sizes.cumsum(), counts), numbers)
    return cut(data, field_ends)


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
