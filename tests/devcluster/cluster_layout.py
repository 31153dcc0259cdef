"""The names, paths and addresses of one cluster of our own: all follow from its slot."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

NODE = "node"
POD_RANGE = "10.244.0.0/16"
POD_SUBNET = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
SLOTS = 8
_TEST_BEDS = IPv4Network("198.18.0.0/15")
"""Addresses set aside for test beds (RFC 2544); a cluster takes four."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One of `SLOTS` clusters that may run beside each other."""

    home: Path
    slot: int

    @property
    def folder(self) -> Path:
        """All its files; gone when it is."""
        return self.home / f"cluster-{self.slot}"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the cluster's first process for as long as it lives."""
        return self.home / f"cluster-{self.slot}.lock"

    @property
    def ready(self) -> Path:
        """Written once the node is Ready; holds what a client needs to know."""
        return self.folder / "ready.json"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.config("admin")

    def config(self, user: str) -> Path:
        """Return the path of a user's kubeconfig."""
        return self.folder / f"{user}.kubeconfig"

    def log(self, part: str) -> Path:
        """Return the path of a part's log."""
        return self.folder / "log" / f"{part}.log"

    @property
    def containerd_socket(self) -> Path:
        """What kubelet and `ctr` call."""
        return self.folder / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The name of the control group, directly under the root, that holds all processes."""
        return f"sensorpipe-cluster-{self._home_id}-{self.slot}"

    @property
    def link(self) -> str:
        """The host's end of the only link into the cluster's network."""
        return f"sp{self._home_id}-{self.slot}"

    @property
    def node_address(self) -> str:
        """The node's end."""
        return str(self._subnet[1])

    @property
    def host_address(self) -> str:
        """The host's end."""
        return str(self._subnet[2])

    @property
    def _home_id(self) -> str:
        """What is made under one home is never taken for another's."""
        return hashlib.sha256(bytes(self.home)).hexdigest()[:8]

    @property
    def _subnet(self) -> IPv4Network:
        number = int(self._home_id, 16) * SLOTS + self.slot
        first = int(_TEST_BEDS.network_address) + number * 4 % _TEST_BEDS.num_addresses
        return IPv4Network((first, 30))

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.node_address}:6443"
