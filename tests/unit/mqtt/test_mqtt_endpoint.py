"""Where the broker is, as a URL; and how long to wait before trying it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "endpoint", "text"),
    [
        ("mqtt://broker", Endpoint("broker", 1883), "mqtt://broker:1883"),
        ("mqtt://broker/", Endpoint("broker", 1883), "mqtt://broker:1883"),
        ("MQTT://10.0.0.1:1", Endpoint("10.0.0.1", 1), "mqtt://10.0.0.1:1"),
        ("mqtts://broker", Endpoint("broker", 8883, tls=True), "mqtts://broker:8883"),
        ("mqtt://[::1]:1883", Endpoint("::1", 1883), "mqtt://[::1]:1883"),
        ("mqtt://me@broker", Endpoint("broker", 1883, username="me"), "mqtt://broker:1883"),
        (
            "mqtts://us%40er:p%40s%2Fs%23%3A@broker:99",
            Endpoint("broker", 99, tls=True, username="us@er", password="p@s/s#:"),
            "mqtts://broker:99",
        ),
        ("mqtt://:only@broker", Endpoint("broker", 1883, password="only"), "mqtt://broker:1883"),
        (
            "mqtt://me:@broker",
            Endpoint("broker", 1883, username="me", password=""),
            "mqtt://broker:1883",
        ),
    ],
)
def test_a_url_says_where_and_who(url: str, endpoint: Endpoint, text: str):
    assert Endpoint.parse(url) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker:1883",
        "//broker:1883",
        "http://broker",
        "tcp://broker:1883",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://broker:0",
        "mqtt://broker:65536",
        "mqtt://broker:port",
        "mqtt://broker/topic",
        "mqtt://broker?client=1",
        "mqtt://broker#1",
        "mqtt://a..b",
        f"mqtt://{'a' * 64}",
        "mqtt://[::1",
        "mqtt://user:hunter2/@broker",
        "mqtt://user:12#hunter2@broker",
        "mqtt://user:hunter2?@broker",
    ],
)
def test_a_wrong_url_is_refused_and_no_password_shown(url: str):
    with pytest.raises(ValueError, match="must be mqtt://HOST:PORT or mqtts://") as refused:
        Endpoint.parse(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_password_is_not_shown():
    endpoint = Endpoint.parse("mqtt://user:hunter2@broker")
    assert "hunter2" not in f"{endpoint} {endpoint!r}"


@given(st.integers(1, 60), st.floats(0, 1))
def test_delays_double_and_stay_within_their_bounds(count: int, share: float):
    backoff = Backoff(0.1, 10.0, uniform=lambda low, high: low + share * (high - low))
    for attempt in range(count):
        ceiling = min(0.1 * 2**attempt, 10.0)
        assert ceiling / 10 <= backoff.next() * (1 + 1e-9)
    backoff.reset()
    assert backoff.next() <= 0.1


def test_delays_are_spread():
    delays = {Backoff().next() for _ in range(50)}
    assert len(delays) > 40
    assert all(0.01 <= delay <= 0.1 for delay in delays)
