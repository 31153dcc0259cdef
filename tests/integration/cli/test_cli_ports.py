"""A port that a process has chosen stays its own until it ends, though nothing listens there."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux only")

BLOCK = 64
ALL = 20 * BLOCK

_CHOOSER = """\
import sys
from sensorpipe_cli.runner import ports
ports._NAME = sys.argv[1].replace("@", chr(0))
ports._HIGH = ports._LOW + 20 * 64
for count in sys.stdin:
    print(*ports.free_ports(int(count)), flush=True)
"""
"""Chooses among 20 blocks that only the processes of one test share."""


class Chooser:
    """A process that chooses ports."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHOOSER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def choose(self, count: int) -> set[int]:
        """Have it choose so many; they are all different."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        ports = {int(port) for port in self.process.stdout.readline().split()}
        assert len(ports) == count
        return ports

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def chooser() -> Iterator[Callable[[], Chooser]]:
    """Start a process that chooses ports; all of a test's share the same ones."""
    name = f"@sensorpipe-test-{uuid.uuid4()}-"
    with ExitStack() as stack:

        def start() -> Chooser:
            made = Chooser(name)
            stack.callback(made.end)
            return made

        yield start


def test_two_processes_never_choose_the_same_port(chooser: Callable[[], Chooser]) -> None:
    one, other = chooser(), chooser()
    chosen = [port for _ in range(9) for each in (one, other) for port in each.choose(60)]
    assert len(chosen) - len(set(chosen)) == 0


def test_a_process_repeats_no_port_while_it_can_reserve_others(
    chooser: Callable[[], Chooser],
) -> None:
    only = chooser()
    chosen = [only.choose(1).pop() for _ in range(15 * BLOCK)]
    assert len(chosen) - len(set(chosen)) == 0


def test_what_a_process_reserved_others_may_take_once_it_has_ended(
    chooser: Callable[[], Chooser],
) -> None:
    one, other = chooser(), chooser()
    before = other.choose(BLOCK // 2)
    one.choose(ALL - 2 * BLOCK)
    one.end()
    assert before.isdisjoint(other.choose(10 * BLOCK))


def test_without_a_block_left_ports_are_free_all_the_same(chooser: Callable[[], Chooser]) -> None:
    one, other = chooser(), chooser()
    one.choose(ALL - BLOCK // 2)
    other.choose(10)
