"""Merging without decoding: what merging documents gives, or left to that."""

from contextlib import suppress
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.partial import encode, read
from sensorpipe_server.documents import window_id
from sensorpipe_server.merge import MAX_SKETCHES
from sensorpipe_server.spliced import id_of, splice
from sensorpipe_server.window import absorb
from server_parts import NOW, T0, batch_of, one, partial, summary

KEY = window_id("facility_1", T0, T0 + 10_000)


def part_of(message: bytes):
    """Return the only part of a message."""
    ((part,),) = [window.parts for window in batch_of(message).windows.values()]
    return part


def stored(*messages: bytes) -> bytes:
    """Return the encoded document that these messages make."""
    document: dict[str, Any] | None = None
    for message in messages:
        raw = absorb(document, [part_of(message)]).raw
        assert raw is not None
        document = bson.decode(raw.raw)
    assert document is not None
    return bson.encode(document)


def said(made):
    """Return all that `absorb` says, with the document decoded."""
    document = None if made.raw is None else bson.decode(made.raw.raw)
    refused = [(refused.reason, refused.record) for refused in made.refused]
    return document, made.rev, made.merged, made.redelivered, refused


def message(number: int, first: int, sensors: str = "ab", src: str = "run", **origin) -> bytes:
    """Return a partial of two readings from `first` on, of each of these sensors."""
    readings = [(first, first * 1.5), (first + 1, 20.0)]
    held = {name: summary(readings, src) for name in sensors}
    return encode(partial(held, number=number, **origin))


messages = st.builds(
    message,
    st.integers(1, 9),
    st.integers(1, 12) | st.sampled_from([2**31 - 3, 2**31 - 2, 2**31 - 1]),
    st.sampled_from(["ab", "ab", "ab", "a", "ba", "abc"]),
    st.sampled_from(["run", "run", "run", "other"]),
    compactor=st.sampled_from("ccccd"),
    epoch=st.sampled_from([1, 1, 1, 2, 2**31]),
)


@given(st.lists(messages, min_size=2, max_size=MAX_SKETCHES + 3))
def test_it_is_what_merging_documents_gives(sent):
    held = stored(sent[0])
    for more in sent[1:]:
        part = part_of(more)
        made = absorb(held, [part])
        assert said(made) == said(absorb(bson.decode(held), [part]))
        if made.raw is not None:
            held = bytes(made.raw.raw)


@pytest.mark.parametrize("gap", [0, 5])
def test_the_common_form_is_never_decoded_and_the_bytes_are_the_same(gap):
    held, more = stored(message(1, 1)), message(2, 3 + gap)
    spliced = splice(held, read(more), KEY, NOW)
    assert spliced is not None
    assert spliced.rev == 1
    documents = absorb(bson.decode(held), [part_of(more)])
    assert documents.raw is not None
    assert spliced.document == documents.raw.raw


def edited(**changes) -> bytes:
    """Return a stored window with other values of its fields or of its first sensor's."""
    document = bson.decode(stored(message(1, 1)))
    sensors = {name: changes.pop(name) for name in list(changes) if name in "ab"}
    first = document["sensors"]["a"]
    for name in [name for name in changes if name in first]:
        first[name] = changes.pop(name)
    return bson.encode({**document, **changes, "sensors": {**document["sensors"], **sensors}})


OTHER_FORMS = {
    "a field more": edited(more=1),
    "a field of a sensor more": edited(a={**bson.decode(edited())["sensors"]["a"], "more": 1}),
    "fields in another order": edited(
        a=dict(sorted(bson.decode(edited())["sensors"]["a"].items())),
    ),
    "a whole number as a mean": edited(mean=3),
    "a long count": edited(count=bson.Int64(2)),
    "a count that is none": edited(count="two"),
    "no sources": edited(sources=[]),
    "sources of two intervals": edited(sources=[{"src": "run", "seq": [1, 1, 3, 3]}]),
    "as many sketches as may be": edited(sketches=[b""] * MAX_SKETCHES),
    "the last rev": edited(rev=2**31 - 1),
    "no compactor": edited(compactors=[]),
    "another facility": edited(facility_name="facility_2"),
}


@pytest.mark.parametrize("held", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_other_forms_are_left_to_merging_documents(held):
    more = message(2, 9)
    assert part_of(more).splice(held) is None
    made, documents = (absorb(form, [part_of(more)]) for form in (held, bson.decode(held)))
    assert said(made)[:-1] == said(documents)[:-1]
    assert [refused.reason for refused in made.refused] == [
        refused.reason for refused in documents.refused
    ]


def test_what_cannot_be_merged_is_refused_in_either_way():
    held, more = edited(count=-2), message(2, 9)
    made = absorb(held, [part_of(more)])
    assert [refused.reason for refused in made.refused] == ["cannot_merge"]
    assert (made.raw, made.merged) == (None, 0)


@given(st.data())
def test_a_damaged_document_is_spliced_or_is_not(data):
    held = bytearray(stored(message(1, 1)))
    held[data.draw(st.integers(4, len(held) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ArithmeticError):  # which `absorb` leaves to merging documents
        splice(bytes(held), read(message(2, 3)), KEY, NOW)


def test_the_id_is_read_where_it_always_is():
    assert id_of(stored(one([(1, 1.0)]))) == KEY
