"""How devices reach `sensorpipe up`, and what is shown of what they send in vain."""

import pytest
from sensorpipe_cli.client.api import counts_by_label
from sensorpipe_cli.client.figures import Figures
from sensorpipe_cli.runner.device_port import protocol_level
from sensorpipe_cli.views.formatting import by_reason
from sensorpipe_cli.views.plain import status


def connect(level: int, name: bytes = b"MQTT", length: int = 20) -> bytes:
    """Return the beginning of a CONNECT packet."""
    size = bytes([length]) if length < 128 else bytes([0x80 | length & 0x7F, length >> 7])
    return b"\x10" + size + len(name).to_bytes(2, "big") + name + bytes([level, 2])


@pytest.mark.parametrize(
    ("head", "level"),
    [
        (connect(4), 4),
        (connect(5), 5),
        (connect(5, length=300), 5),
        (connect(3, b"MQIsdp"), 3),
        (connect(4, b"HTTP"), 0),
        (b"GET / HTTP/1.1\r\n\r\n", 0),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0),  # TLS
        (b"\x10\xff\xff\xff\xff\xff", 0),
        (b"\x10\x20\xff\xff" + b"x" * 20, 0),
    ],
)
def test_the_version_is_told_by_the_first_packet(head: bytes, level: int) -> None:
    assert protocol_level(head) == level


@pytest.mark.parametrize("level", [4, 5])
def test_it_waits_for_as_many_bytes_as_it_takes(level: int) -> None:
    head = connect(level, length=300)
    for many in range(len(head) - 1):
        assert protocol_level(head[:many]) is None, many


METRICS = """\
# TYPE sensorpipe_compactor_dead_letters_total counter
sensorpipe_compactor_dead_letters_total{reason="too_old"} 2.0
sensorpipe_compactor_dead_letters_total{reason="not_json"} 1200.0
sensorpipe_compactor_readings_total 7.0
"""


def test_refused_messages_are_shown_by_reason() -> None:
    counts = counts_by_label(METRICS, "sensorpipe_compactor_dead_letters_total", "reason")
    assert counts == {"too_old": 2, "not_json": 1200}
    assert by_reason(counts) == "1,202 (not_json 1,200, too_old 2)"
    assert status(Figures(refused=counts)).endswith(
        "duplicates ?, refused 1,202 (not_json 1,200, too_old 2)"
    )
    assert "refused" not in status(Figures())
