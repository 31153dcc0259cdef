"""What the chart makes of values in a cluster that holds something already: Helm's `lookup`."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from support.chart.render import Object, render

_OWNED = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {
        "meta.helm.sh/release-name": "demo",
        "meta.helm.sh/release-namespace": "sensors",
    },
}
"""What Helm knows a release's own objects by."""

_BASE = ({"apiVersion": "v1", "kind": "Pod"}, {"apiVersion": "v1", "kind": "Secret"})
"""What every cluster knows: one without pods, the chart takes for none."""


def render_in(
    folder: Path,
    held: list[Object],
    *sets: str,
    values: tuple[Path, ...] = (),
    upgrade: bool = True,
) -> list[Object]:
    """Return what is installed where the cluster holds these objects; as `chart_render.render`."""
    known: dict[str, set[str]] = {}
    for one in (*_BASE, *render(*sets, values=values)):
        known.setdefault(one["apiVersion"], set()).add(one["kind"])
    with _api(held, known) as address:
        # a file of its own: renderings are kept by their arguments
        config = folder / f"kubeconfig-{address.rpartition(':')[2]}"
        config.write_text(yaml.safe_dump(_kubeconfig(address)))
        more = ("--dry-run=server", "--disable-openapi-validation", "--kubeconfig", str(config))
        return render(*sets, values=values, more=(*more, *(("--is-upgrade",) if upgrade else ())))


def _kubeconfig(address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "held", "cluster": {"server": address}}],
        "contexts": [{"name": "held", "context": {"cluster": "held", "user": "held"}}],
        "users": [{"name": "held", "user": {}}],
        "current-context": "held",
    }


@contextmanager
def _api(held: list[Object], known: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the address of an API server that knows these objects, and nothing else."""
    answers = dict(_answers(held, known))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "code": 404, "reason": "NotFound"}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _answers(
    held: list[Object], known: Mapping[str, set[str]]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield "/version", {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    groups = [
        {"name": version.split("/")[0], "versions": [named], "preferredVersion": named}
        for version in known
        if "/" in version
        for named in [{"groupVersion": version, "version": version.split("/")[1]}]
    ]
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for version, kinds in known.items():
        resources = [
            {"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": ["get"]}
            for kind in kinds
        ]
        listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version}
        yield _root(version), {**listed, "resources": resources}
    for one in held:
        metadata = one["metadata"]
        where = f"namespaces/{metadata['namespace']}/{one['kind'].lower()}s/{metadata['name']}"
        owned = {name: {**metadata.get(name, {}), **marks} for name, marks in _OWNED.items()}
        yield f"{_root(one['apiVersion'])}/{where}", {**one, "metadata": {**metadata, **owned}}


def _root(version: str) -> str:
    return f"/api/{version}" if "/" not in version else f"/apis/{version}"
