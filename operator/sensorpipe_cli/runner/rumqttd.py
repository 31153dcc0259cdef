"""Runs rumqttd in this process: `python -m sensorpipe_cli.runner.rumqttd CONFIG [DEVICES]`.

`DEVICES` is the port for devices of either version of MQTT, `HOST PORT`, and the broker's ports for
MQTT 3.1.1 and MQTT 5.

It logs several lines for every packet, whatever its settings; they are dropped here, because they
would fill the disk and hide other messages.
"""

import os
import sys
import threading
from typing import Final

from iotcore.iotcore import IotCoreBroker

from sensorpipe_cli.runner import device_port

_PER_PACKET: Final = (b"[>] incoming;", b"incoming_payload;", b"publish;", b"remote_link;")
_STDERR: Final = 2


def main() -> None:
    """Run the broker until a signal ends the process."""
    log = os.dup(_STDERR)
    read_end, write_end = os.pipe()
    os.dup2(write_end, _STDERR)
    threading.Thread(target=_pass_on, args=(read_end, log), name="log", daemon=True).start()
    try:
        if sys.argv[2:]:
            host, *ports = sys.argv[2:]
            device_port.start(host, *map(int, ports))
        IotCoreBroker(config_path=sys.argv[1]).run_forever()
    except BaseException:
        os.dup2(log, _STDERR)  # the traceback must not wait for a thread that ends with us
        raise


def _pass_on(read_end: int, log: int) -> None:
    """Copy lines from a pipe to the log, except those about single packets."""
    with open(read_end, "rb") as lines:
        for line in lines:
            if not line.startswith(_PER_PACKET):
                os.write(log, line)


if __name__ == "__main__":
    main()
