"""The parts of a node, and what each is told on its command line."""

import sys
from dataclasses import dataclass
from pathlib import Path

from cluster_layout import NODE, POD_RANGE, SERVICE_RANGE, Layout
from cluster_network import POLICY_QUEUE

_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the node, restarted when it ends."""

    name: str
    argv: list[str]


def etcd(layout: Layout) -> Part:
    """Return the store; nothing in it outlives the cluster, hence no fsync."""
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return _part(
        "etcd",
        "--unsafe-no-fsync",
        f"--data-dir={layout.folder}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
    )


def api_server(layout: Layout) -> Part:
    """Return the API server; it calls kubelet by address, as nothing resolves a node's name."""
    pki = layout.pki
    return _part(
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={layout.node_address}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={pki}/accounts.crt",
        f"--service-account-signing-key-file={pki}/accounts.key",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
    )


def controllers(layout: Layout) -> Part:
    """Return the controllers, allowed enough requests for tests that create a thousand."""
    pki = layout.pki
    return _part(
        "kube-controller-manager",
        f"--kubeconfig={layout.config('controllers')}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={POD_RANGE}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )


def scheduler(layout: Layout) -> Part:
    """Return the scheduler."""
    kubeconfig = f"--kubeconfig={layout.config('scheduler')}"
    return _part("kube-scheduler", kubeconfig, "--leader-elect=false")


def containerd(layout: Layout) -> Part:
    """Return the container runtime."""
    return _part("containerd", f"--config={layout.folder}/containerd.toml")


def kubelet(layout: Layout) -> Part:
    """Return the node's agent."""
    return _part(
        "kubelet",
        f"--config={layout.folder}/kubelet.yaml",
        f"--kubeconfig={layout.config('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={layout.node_address}",
    )


def proxy(layout: Layout) -> Part:
    """Return what makes Services reachable."""
    return _part("kube-proxy", f"--config={layout.folder}/proxy.yaml")


def policies(layout: Layout) -> Part:
    """Return what decides by NetworkPolicies on new connections; it drops what it cannot decide.

    The rules that it makes to be asked need more of a kernel than `cluster_network`'s: that it
    cannot make them changes nothing.
    """
    return _part(
        "kube-network-policies",
        f"--kubeconfig={layout.kubeconfig}",
        f"--hostname-override={NODE}",
        f"--nfqueue-id={POLICY_QUEUE}",
        "--fail-open=false",
        "--strict-mode=false",
        "--metrics-bind-address=127.0.0.1:9080",
    )


def dns(layout: Layout) -> Part:
    """Return the cluster's name server, which knows no names but the cluster's."""
    return _part("coredns", f"-conf={layout.folder}/Corefile")


def volumes(layout: Layout) -> Part:
    """Return what empties volumes for their next use."""
    program = Path(__file__).with_name("cluster_volumes.py")
    slot = (f"--home={layout.home}", f"--slot={layout.slot}")
    return Part("volumes", [sys.executable, str(program), *slot])


def _part(name: str, *arguments: str) -> Part:
    return Part(name, [name, *arguments])
