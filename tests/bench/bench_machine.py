"""What the figures come from: a benchmark says nothing without its machine."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("mqtt5", "aiomqtt", "aiokafka", "pymongo", "msgspec", "protobuf", "numpy", "uvloop")


def machine() -> dict[str, str]:
    """Return the machine and the versions that a table is printed with."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load": f"{os.getloadavg()[0]:.1f} before the start",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "mosquitto": _mosquitto(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _mosquitto() -> str:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        return "absent"
    text = subprocess.run([program, "-h"], check=False, capture_output=True, text=True).stdout
    found = re.search(r"version (\S+)", text)
    return found[1] if found else "unknown"
