"""What helm tells who installs the chart with devices: what is closed, or open unexpectedly."""

import os

import pytest
from cluster_command import run
from support.chart.render import CHART, given, helm

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
    nowhere = {**os.environ, "KUBECONFIG": os.devnull}
    command = [str(helm()), "install", "demo", str(CHART), "--dry-run=client", *given(sets, ())]
    notes = run(*command, environ=nowhere, timeout=60).partition("\nNOTES:\n")[2]
    assert "kubectl get sensors" in notes
    assert [warning for warning in (CLOSED, UNBOUND) if warning in notes] == expected
