"""A child process: how it ends, and what is told of it."""

import signal
import sys

import pytest
from sensorpipe_cli.runner.child import Child, ChildError, free_port
from support.waiting import eventually


def child(tmp_path, program, **options):
    return Child("part", [sys.executable, "-c", program], tmp_path / "part.log", **options)


async def test_a_program_that_cannot_be_run_says_so(tmp_path):
    part = Child("part", ["/nowhere/program"], tmp_path / "part.log")
    await part.start()
    assert await part.wait() == 1
    assert "cannot run /nowhere/program: No such file or directory" in part.exit_report()


async def test_what_never_listens_is_reported_with_its_last_log_lines(tmp_path):
    part = child(tmp_path, "print('last words')", port=free_port())
    await part.start()
    with pytest.raises(ChildError, match="part exited with 0; its last log lines:\nlast words"):
        await part.listening()


async def test_what_ignores_the_signal_is_killed(tmp_path):
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    part = child(tmp_path, f"{ignore}; print('ready', flush=True); time.sleep(600)")
    await part.start()
    await eventually(lambda: "ready" in part.tail() or part.returncode is not None)
    assert await part.stop(0.1) == -signal.SIGKILL
    assert part.exit_report().startswith("part was killed by SIGKILL")


async def test_the_tail_of_a_long_log_is_its_end(tmp_path):
    part = child(tmp_path, "for n in range(100_000): print('line', n)")
    await part.start()
    assert await part.wait() == 0
    assert part.tail(2) == "line 99998\nline 99999"


async def test_what_was_never_started_can_be_stopped(tmp_path):
    part = child(tmp_path, "")
    assert await part.stop() == 0
    assert await part.kill() == 0
    assert part.returncode is None
