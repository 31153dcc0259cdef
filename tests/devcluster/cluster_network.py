"""The cluster's network: one namespace without a route out, joined to the host by a veth pair."""

import shutil

from cluster_command import attempt, run
from cluster_layout import NODE, Layout

ENTER = ("nsenter", f"--net=/run/netns/{NODE}")
"""The words before a command that is to run in it."""

POLICY_QUEUE = 100
"""The netfilter queue from which NetworkPolicies are decided on."""

_BRIDGE = "cni0"
"""Where all pods are, as the CNI configuration calls it."""


def create(layout: Layout) -> None:
    """Make namespace and link; called where /run is the cluster's own."""
    end = f"dev {layout.link}"
    for command in (
        f"ip netns add {NODE}",
        f"ip link add {layout.link} type veth peer name eth0 netns {NODE}",
        f"ip address add {layout.host_address}/30 {end}",
        f"ip link set up {end}",
        f"ip -n {NODE} link set up dev lo",
        f"ip -n {NODE} address add {layout.node_address}/30 dev eth0",
        f"ip -n {NODE} link set up dev eth0",
    ):
        run(*command.split())
    run(*ENTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    # the host has no route to a pod and would send its answers elsewhere
    refuse = "iptables -I FORWARD -o eth0 -m conntrack --ctstate NEW -j DROP"
    run(*ENTER, *refuse.split())
    _ask_before_connections()


def decides() -> bool:
    """Whether somebody decides on new connections; as long as nobody does, there are none."""
    queues = attempt(*ENTER, "cat", "/proc/net/netfilter/nfnetlink_queue").stdout
    return any(line.split()[0] == str(POLICY_QUEUE) for line in queues.splitlines())


def remove(layout: Layout) -> None:
    """Remove the link, if the kernel has not yet: both ends go, as does the namespace."""
    attempt("ip", "link", "delete", layout.link)


def _ask_before_connections() -> None:
    """Queue the first packet of each connection of a pod, to another or to the node itself.

    Without `--queue-bypass` the kernel drops it while nobody reads the queue. What the node itself
    begins, such as probes and port-forwards, policies do not apply to. Not in the table `filter`:
    kube-proxy puts rules of its own before all others there.
    """
    # otherwise pods on one bridge reach each other past all rules
    if shutil.which("modprobe"):
        attempt("modprobe", "br_netfilter")  # where it is no part of the kernel
    run(*ENTER, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    asked = f"-m conntrack --ctstate NEW -j NFQUEUE --queue-num {POLICY_QUEUE}"
    for packets in ("FORWARD", f"INPUT -i {_BRIDGE}"):
        run(*ENTER, *f"iptables -t mangle -A {packets} {asked}".split())
