"""The timing wheel, the list with holes and the linked list against plain ones."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.windowing.linked_list import LinkedList
from sensorpipe_compactor.windowing.places import Places
from sensorpipe_compactor.windowing.timing_wheel import STEP_MS, TimingWheel
from support.examples import examples


@dataclass(eq=False)
class Item:
    name: int
    step: int = 0
    place: int = -1
    before: "Item | None" = None
    after: "Item | None" = None


@examples(200)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 5), st.integers(0, 3_000)),
            st.tuples(st.just("look"), st.just(0), st.integers(0, 400)),
            st.tuples(st.just("look"), st.just(0), st.just(60_000)),
        ),
        max_size=60,
    )
)
def test_each_item_comes_once_and_on_time_whatever_is_added(steps: list[tuple[str, int, int]]):
    wheel: TimingWheel[Item] = TimingWheel()
    items, wanted, now = [Item(n) for n in range(6)], dict[int, int](), 1_000_000
    for what, name, ms in steps:
        if what == "add":
            at = now - 500 + ms
            wheel.add(items[name], at)
            wanted[name] = min(at, wanted.get(name, at))
        else:
            now += ms
            came = {item.name for item in wheel.expired(now)}
            assert came <= {n for n, at in wanted.items() if at <= now}
            assert came >= {n for n, at in wanted.items() if at <= now - STEP_MS}
            wanted = {n: at for n, at in wanted.items() if n not in came}
            assert all(items[n].step == 0 for n in came)
    assert {item.name for item in wheel.expired(now + 10_000)} == set(wanted)


@examples(200)
@given(st.lists(st.integers(-8, 12), max_size=4_000))
def test_places_keep_their_order_whatever_is_taken_out(steps: list[int]):
    places: Places[Item] = Places()
    plain: list[Item] = []
    for number, step in enumerate(steps):
        if step >= 0:
            plain.append(item := Item(number))
            places.append(item)
        elif plain:
            gone = plain.pop(min(-step - 1, len(plain) - 1))
            places.remove(gone)
            assert gone.place == -1
        assert places.first() is (plain[0] if plain else None)
    assert len(places) == len(plain)
    for item in plain:
        assert places.first() is item
        places.remove(item)
    assert places.first() is None


def test_places_that_were_left_are_given_back():
    places: Places[Item] = Places()
    waiting = [Item(0)]
    places.append(waiting[0])
    for number in range(1, 50_000):
        waiting.append(Item(number))
        places.append(waiting[-1])
        places.remove(waiting.pop(0))
        assert places.first() is waiting[0]
    assert len(places._items) < 5_000


@examples(200)
@given(st.lists(st.integers(-6, 6), max_size=60))
def test_a_linked_list_is_a_list(steps: list[int]):
    linked: LinkedList[Item] = LinkedList()
    plain: list[Item] = []
    for number, step in enumerate(steps):
        if step >= 0 or not plain:
            plain.append(item := Item(number))
            linked.append(item)
        else:
            gone = plain.pop(step % len(plain))
            linked.remove(gone)
            assert gone.before is gone.after is None
        assert list(linked) == plain
        assert linked.first is (plain[0] if plain else None)
        assert linked.last is (plain[-1] if plain else None)
