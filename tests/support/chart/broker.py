"""The chart's broker as anybody may try it from outside: mosquitto_pub and mosquitto_sub."""

import base64
import shutil
import subprocess

import pytest
from support.chart.release import NAME, Release


def password(release: Release, role: str) -> str:
    """Return what the release's Secret says."""
    data = release.get(f"secret/{NAME}-mosquitto")["data"]
    return base64.b64decode(data[f"{role}-password"]).decode()


def need(program: str) -> None:
    """Skip the test where there is no mosquitto_pub or mosquitto_sub."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here; `apt-get install mosquitto-clients` brings it")


def attempt(release: Release, program: str, *arguments: str, user: str = "") -> str:
    """Return what mosquitto_pub or mosquitto_sub says, as a user or as nobody."""
    need(program)
    credentials = ["-u", user, "-P", password(release, user)] if user else []
    with release.cluster.port_forward(f"service/{NAME}-mosquitto", 1883, release.namespace) as port:
        done = subprocess.run(
            [program, "-p", str(port), "-V", "5", "-q", "1", *credentials, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    return done.stdout + done.stderr
