"""The cluster's network: one namespace without a route out, joined to the host by a veth pair."""

from cluster_command import attempt, run
from cluster_layout import NODE, Layout

ENTER = ("nsenter", f"--net=/run/netns/{NODE}")
"""The words before a command that is to run in it."""


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


def remove(layout: Layout) -> None:
    """Remove the link, if the kernel has not yet: both ends go, as does the namespace."""
    attempt("ip", "link", "delete", layout.link)
