"""`sensorpipe token` as a program: a token alone on stdout, and what is wrong on stderr."""

import subprocess
import sys

from sensorpipe_server.access.tokens import peek
from support.tokens import SECRET


def run(*options):
    argv = [sys.executable, "-m", "sensorpipe_cli", "token", *options]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_token_is_all_that_is_printed(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    given = ("--secret-file", str(tmp_path / "secret"), "--subject", "dash")
    done = run(*given, "--scope", "read", "--facility", "hall_2-*", "--for", "8h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert peek(done.stdout.strip()).issuer == "sensorpipe"


def test_what_is_wrong_ends_it_with_2(tmp_path):
    (tmp_path / "secret").write_text("short")
    done = run("--secret-file", str(tmp_path / "secret"), "--subject", "x", "--scope", "write")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--scope: must be one of read, metrics, admin; got 'write'" in done.stderr
    assert "must have 32 to 1024 bytes" in done.stderr
    assert "short" not in done.stderr
