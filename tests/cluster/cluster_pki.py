"""The certificates of one cluster, and a kubeconfig for each that calls the API server."""

import subprocess

from cluster_layout import API_SERVICE, NODE, Layout

_CALLERS = {
    "admin": "/O=system:masters/CN=admin",
    "controllers": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}
_DAYS = "30"
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
    _key(layout, "ca")
    _openssl(layout, "req", "-x509", "-new", "-key", "ca.key", "-out", "ca.crt", "-days", _DAYS,
             "-subj", "/CN=sensorpipe-cluster")  # fmt: skip
    _key(layout, "accounts")
    _openssl(layout, "pkey", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
    names = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost"
    addresses = f"IP:127.0.0.1,IP:{layout.node_address},IP:{API_SERVICE}"
    _certificate(layout, "apiserver", "/CN=kube-apiserver", f"{names},{addresses}")
    for user, subject in _CALLERS.items():
        _certificate(layout, user, subject, f"DNS:{user},IP:{layout.node_address}")
        text = _KUBECONFIG.format(user=user, server=layout.server, pki=layout.pki)
        layout.config(user).write_text(text)
        layout.config(user).chmod(0o600)


def _key(layout: Layout, name: str) -> None:
    _openssl(layout, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")


def _certificate(layout: Layout, name: str, subject: str, alternatives: str) -> None:
    _key(layout, name)
    (layout.pki / f"{name}.ext").write_text(
        f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    _openssl(layout, "req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    _openssl(layout, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", _DAYS,
             "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
             "-extfile", f"{name}.ext")  # fmt: skip


def _openssl(layout: Layout, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=layout.pki, check=True, capture_output=True)
