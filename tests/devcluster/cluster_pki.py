"""The certificates of one cluster, and a kubeconfig for each that calls the API server."""

from cluster_command import run
from cluster_layout import API_SERVICE, NODE, Layout

_CALLERS = {
    "admin": "/O=system:masters/CN=admin",
    "controllers": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}
_CONFIG = """\
[req]
distinguished_name = subject
[subject]
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: sensorpipe-test
contexts:
  - {{name: sensorpipe-test, context: {{cluster: sensorpipe-test, user: {user}}}}}
clusters:
  - name: sensorpipe-test
    cluster: {{server: "{server}", certificate-authority: "{pki}/ca.crt"}}
users:
  - name: {user}
    user: {{client-certificate: "{pki}/{user}.crt", client-key: "{pki}/{user}.key"}}
"""


def write(layout: Layout) -> None:
    """Make the authority, all certificates, the service account key and the kubeconfigs."""
    layout.pki.mkdir(mode=0o700)
    (layout.pki / "openssl.cnf").write_text(_CONFIG)
    _certificate(layout, "ca", "/CN=sensorpipe-cluster", "basicConstraints=critical,CA:TRUE")
    _certificate(layout, "accounts", "/CN=accounts", "basicConstraints=critical,CA:FALSE")
    names = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost"
    addresses = f"IP:127.0.0.1,IP:{layout.node_address},IP:{API_SERVICE}"
    _signed(layout, "apiserver", "/CN=kube-apiserver", f"{names},{addresses}")
    for user, subject in _CALLERS.items():
        _signed(layout, user, subject, f"DNS:{user},IP:{layout.node_address}")
        text = _KUBECONFIG.format(user=user, server=layout.server, pki=layout.pki)
        layout.config(user).touch(mode=0o600)
        layout.config(user).write_text(text)


def _signed(layout: Layout, name: str, subject: str, alternatives: str) -> None:
    alternative = f"subjectAltName={alternatives}"
    usage = "extendedKeyUsage=serverAuth,clientAuth"
    _certificate(
        layout, name, subject, alternative, usage, signer=("-CA", "ca.crt", "-CAkey", "ca.key")
    )


def _certificate(
    layout: Layout, name: str, subject: str, *extensions: str, signer: tuple[str, ...] = ()
) -> None:
    """Make a key and a certificate for it, signed by itself where there is no signer."""
    files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
    added = (word for extension in extensions for word in ("-addext", extension))
    command = ("openssl", "req", "-x509", "-config", "openssl.cnf", "-days", "30", *_KEY)
    run(*command, *files, "-subj", subject, *signer, *added, folder=layout.pki)
