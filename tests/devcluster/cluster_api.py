"""The few questions asked of an API server before there is anything else to ask them with."""

import json
import ssl
import urllib.error
import urllib.request

from cluster_layout import NODE, Layout


class Api:
    """The API server of a cluster of our own, as its administrator."""

    def __init__(self, layout: Layout) -> None:
        context = ssl.create_default_context(cafile=layout.pki / "ca.crt")
        context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        self._server = layout.server
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> bytes | None:
        """Return what it answers; None for no answer or an error."""
        return self._ask(urllib.request.Request(self._server + path))

    def patch(self, path: str, change: object) -> None:
        """Merge a change into an object; who asks again later finds whether it was made."""
        headers = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps(change).encode()
        self._ask(urllib.request.Request(self._server + path, body, headers, method="PATCH"))

    def node_ready(self) -> bool:
        """Whether pods can run."""
        node = json.loads(self.get(f"/api/v1/nodes/{NODE}") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _ask(self, request: urllib.request.Request) -> bytes | None:
        try:
            with self._opener.open(request, timeout=5) as answer:
                content: bytes = answer.read()
        except (OSError, urllib.error.URLError):
            return None
        return content
