"""The tests' cluster by hand: what the Makefile's cluster targets call."""

import os
import sys

import cluster_choice
import cluster_home
import cluster_kind
import cluster_own
import cluster_programs
from cluster_home import UnavailableError

_KEPT = 3
"""So many versions of the programs: other checkouts, and clusters that still run, need theirs."""


def main() -> None:
    """Do what the first argument says."""
    commands = {"prepare": prepare, "programs": programs, "up": up, "down": down}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: cluster_run.py {'|'.join(commands)}")
    try:
        commands[sys.argv[1]](sys.argv[2:])
    except UnavailableError as error:
        sys.exit(str(error))


def prepare(_: list[str]) -> None:
    """Build the programs of a cluster of our own, if that is the cluster to come."""
    cluster_home.prune("programs-*", _KEPT)
    if os.environ.get(cluster_choice.GIVEN) or cluster_kind.why_not() is None:
        return
    if (reason := cluster_own.why_never()) is not None:
        print(f"No cluster of our own here: {reason}", file=sys.stderr)
    else:
        programs(_)


def programs(_: list[str]) -> None:
    """Build the programs of a cluster of our own, helm among them, whatever cluster is to come."""
    if cluster_programs.built() is None:
        print("Building Kubernetes for the tests, once: minutes", file=sys.stderr)
        cluster_programs.build()


def up(_: list[str]) -> None:
    """Start the cluster that stays, or find it running; print how to use it."""
    cluster = cluster_choice.keep()
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    if cluster.programs is not None:
        print(f'export PATH="{cluster.programs}:$PATH"  # kubectl and helm')


def down(_: list[str]) -> None:
    """Remove the cluster that stayed, and what crashes left."""
    removed = cluster_kind.remove_kept() + cluster_own.remove_kept()
    print(f"{removed} removed", file=sys.stderr)


if __name__ == "__main__":
    main()
