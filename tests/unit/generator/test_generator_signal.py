"""Signals: the same for the same seed, at random access, and what they claim to be."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensorpipe_generator.noise import Noise
from sensorpipe_generator.signal import Series, Values
from sensorpipe_schema.sensor import API_VERSION, Sensor

NORMAL = {"normal": {"mean": 20, "stdev": 2}}
WALK = {"randomWalk": {"start": 5, "step": 0.5}}


def sensor(signal: Any, name: str = "t", **spec: Any) -> Sensor:
    measurement = {"name": name, "signal": signal}
    spec = {"facility": "f", "interval": "1s", "measurements": [measurement], **spec}
    manifest = {"apiVersion": API_VERSION, "kind": "Sensor", "metadata": {"name": "s"}}
    return Sensor.parse({**manifest, "spec": spec})


def series(signal: Any, name: str = "t", **spec: Any) -> Series:
    made = sensor(signal, name, **spec)
    return Series(made, made.spec.measurements[0])


def all_of(one: Series, ticks: int) -> Values:
    return np.concatenate([one.at(tick) for tick in range(ticks)])


def test_a_constant_is_constant() -> None:
    assert series({"constant": {"value": 3}}, count=4).at(9).tolist() == [3.0] * 4


@pytest.mark.parametrize("phase", [0, 0.25, 0.6])
def test_a_sine_follows_the_scheduled_time(phase: float) -> None:
    sine = {"mean": 10, "amplitude": 3, "period": "7s", "phase": phase}
    one = series({"sine": sine}, interval="2s", count=4)
    for tick in (0, 1, 5, 10**9):
        for device in range(4):
            seconds = tick * 2 + device * 0.5
            exact = 10 + 3 * math.sin(2 * math.pi * (math.fmod(seconds, 7) / 7 + phase))
            assert one.at(tick)[device] == pytest.approx(exact, abs=1e-12)


def test_a_trend_gains_so_much_an_hour() -> None:
    one = series({"linear": {"start": 100, "perHour": -6}}, interval="30m", count=2)
    assert [one.at(tick).tolist() for tick in range(3)] == [[100, 98.5], [97, 95.5], [94, 92.5]]


def test_noise_is_normal() -> None:
    values = all_of(series(NORMAL, count=1000), 200)
    n, deviations = len(values), (values - 20) / 2
    five_sigma = 5 / math.sqrt(n)
    assert abs(deviations.mean()) < five_sigma
    assert abs(deviations.std() - 1) < five_sigma / math.sqrt(2)
    assert abs((deviations**3).mean()) < five_sigma * math.sqrt(15)
    assert abs((deviations**4).mean() - 3) < five_sigma * math.sqrt(96)
    for bound, share in ((1, 0.6826894921), (2, 0.9544997361), (3, 0.9973002039)):
        inside = (np.abs(deviations) < bound).mean()
        assert abs(inside - share) < five_sigma * math.sqrt(share * (1 - share))


def test_noise_is_independent() -> None:
    noise = np.array([Noise("a").at(tick, 500) for tick in range(400)])
    bound = 5 / math.sqrt(noise.size)
    assert abs((noise[1:] * noise[:-1]).mean()) < bound * 1.01
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < bound * 1.01
    assert len(np.unique(noise)) == noise.size


@pytest.mark.parametrize(
    "other",
    [
        series(NORMAL, seed=2, count=50),
        series(NORMAL, facility="g", seed=1, count=50),
        series(NORMAL, name="u", seed=1, count=50),
    ],
)
def test_seed_facility_and_measurement_each_change_the_noise(other: Series) -> None:
    one = series(NORMAL, seed=1, count=50)
    assert not set(all_of(one, 20)) & set(all_of(other, 20))


def test_the_values_of_a_seed_are_these() -> None:
    # so that a change of them does not go unnoticed: what is stored is checked against seeds
    noise, walk = series(NORMAL, seed=7, count=2), series(WALK, seed=7, count=2)
    assert noise.at(3).tolist() == pytest.approx([19.487102187787563, 21.481799245894678])
    assert walk.at(3).tolist() == pytest.approx([6.038036749421128, 6.726246686386394])


@settings(max_examples=30)
@given(
    st.sampled_from([NORMAL, WALK, {"sum": [NORMAL, WALK, {"constant": {"value": 1}}]}]),
    st.lists(st.integers(0, 60), min_size=1, max_size=8),
    st.integers(0, 2**53 - 1),
)
def test_any_order_of_ticks_gives_the_same_values(signal: Any, ticks: list[int], seed: int) -> None:
    ordered, jumping = series(signal, seed=seed, count=3), series(signal, seed=seed, count=3)
    values = all_of(ordered, 61)
    for tick in ticks:
        assert jumping.at(tick).tolist() == values[tick * 3 : tick * 3 + 3].tolist()


@pytest.mark.parametrize("signal", [NORMAL, WALK])
def test_a_device_does_not_depend_on_how_many_there_are(signal: Any) -> None:
    few, many = series(signal, count=3), series(signal, count=700)
    assert all(few.at(t).tolist() == many.at(t)[:3].tolist() for t in range(20))


def test_a_random_walk_adds_normal_steps() -> None:
    walk = np.array([series(WALK, count=2000).at(tick) for tick in (0, 1, 2, 100)])
    assert (walk[0] == 5).all()
    five_sigma = 5 / math.sqrt(2000)
    assert abs((walk[1] - 5).std() / 0.5 - 1) < five_sigma / math.sqrt(2)
    assert abs((walk[3] - 5).std() / 5 - 1) < five_sigma / math.sqrt(2)
    noise = series({"normal": {"mean": 0, "stdev": 0.5}}, count=2000)
    assert (walk[2] == 5 + noise.at(1) + noise.at(2)).all()


def test_a_sum_has_noise_of_its_own_in_each_part() -> None:
    total = series({"sum": [NORMAL, NORMAL, {"constant": {"value": 2}}]}, count=5000).at(0)
    assert abs(total.std() / math.sqrt(8) - 1) < 5 / math.sqrt(2 * 5000)
    assert abs(total.mean() - 42) < 5 * math.sqrt(8 / 5000)
