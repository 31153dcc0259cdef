"""What helm tells who installs the chart with devices: what is closed, or open unexpectedly."""

import pytest
from support.chart.render import notes

LISTENER = (
    "mosquitto.devices.tls.secretName=tls",
    "mosquitto.devices.passwordFile.secretName=devices",
)
DEVICES = "networkPolicy.devicesFrom[0].ipBlock.cidr=10.0.0.0/8"
CLOSED = "no device may connect to it: networkPolicy.devicesFrom is empty."
UNBOUND = "can also reach the broker at port 1883"


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), []),
        (LISTENER, [CLOSED]),
        ((*LISTENER, DEVICES), []),
        ((*LISTENER, "networkPolicy.enabled=false"), [UNBOUND]),
        ((*LISTENER, DEVICES, "networkPolicy.brokerFrom[0].ipBlock.cidr=10.0.0.0/8"), [UNBOUND]),
    ],
)
def test_the_notes_warn_of_what_devices_cannot_reach_and_of_what_they_can(
    sets: tuple[str, ...], expected: list[str]
):
    said = notes(*sets)
    assert "kubectl get sensors" in said
    assert [warning for warning in (CLOSED, UNBOUND) if warning in said] == expected
