"""Mosquitto as a pod: an image of Debian's program and its libraries, made without any registry."""

import io
import json
import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from cluster_client import Cluster
from cluster_home import home
from services import MOSQUITTO_TUNED

_IMAGE = "localhost/sensorpipe-test-mosquitto"
_PORT = 1883
_CONFIG = f"listener {_PORT} 0.0.0.0\nallow_anonymous true\n{MOSQUITTO_TUNED}"


def start(cluster: Cluster, namespace: str) -> None:
    """Run a broker at mqtt://mosquitto.NAMESPACE:1883, and the Secret that tells generators so."""
    cluster.apply(*_objects(_image(cluster), namespace), namespace=namespace)
    wait = ["rollout", "status", "deployment/mosquitto", "--timeout=60s"]
    cluster.kubectl("-n", namespace, *wait)


def secret(namespace: str) -> dict[str, object]:
    """Return the Secret that leads generators to the broker of a namespace."""
    url = f"mqtt://mosquitto.{namespace}.svc.cluster.local:{_PORT}"
    metadata = {"name": "sensorpipe-broker"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"url": url}}


def _objects(image: str, namespace: str) -> list[dict[str, object]]:
    labels = {"app": "mosquitto"}
    container = {
        "name": "mosquitto",
        "image": image,
        "args": ["-c", "/etc/mosquitto/mosquitto.conf"],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/mosquitto"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "mosquitto"}}],
    }
    named = {"metadata": {"name": "mosquitto"}}
    return [
        secret(namespace),
        {"apiVersion": "v1", "kind": "ConfigMap", **named, "data": {"mosquitto.conf": _CONFIG}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            **named,
            "spec": {"selector": labels, "ports": [{"port": _PORT}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            **named,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


def _image(cluster: Cluster) -> str:
    if cluster.images:  # somebody's cluster, which pulls what it runs
        return "docker.io/library/eclipse-mosquitto:2"
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("no Mosquitto here; `apt-get install mosquitto` brings it")
    files = [Path(program), *_libraries(program)]
    identity = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    archive = home() / f"mosquitto-{identity}.tar"
    image = f"{_IMAGE}:{identity}"
    if not archive.exists():
        _pack(files, Path(program), image, archive)
    if _IMAGE not in cluster.loaded:
        cluster.maker.load(archive)
        cluster.loaded[_IMAGE] = image
    return image


def _libraries(program: str) -> list[Path]:
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    words = (word for line in listed.splitlines() for word in line.split())
    return sorted({Path(word) for word in words if word.startswith("/")})


def _pack(files: list[Path], program: Path, image: str, archive: Path) -> None:
    """Write the image's archive."""
    layer = _tar({str(file)[1:]: file.read_bytes() for file in files})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [str(program)]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    parts = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar(parts))


def _tar(files: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return output.getvalue()
