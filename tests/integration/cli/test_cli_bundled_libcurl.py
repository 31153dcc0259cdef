"""The embedded MongoDB on a system without libcurl, which a wheel brings then."""

import ctypes
import sys
from pathlib import Path

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from support.services import running


@pytest.fixture
def without_libcurl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system on which libcurl cannot be loaded."""
    loaded = ctypes.CDLL

    def cdll(name: str | None) -> ctypes.CDLL:
        if name == "libcurl.so.4":
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return loaded(name)

    monkeypatch.setattr(ctypes, "CDLL", cdll)


@pytest.mark.skipif(sys.platform != "linux", reason="mongod needs libcurl on Linux only")
@pytest.mark.usefixtures("without_libcurl")
async def test_mongod_runs_with_the_libcurl_of_a_wheel(tmp_path: Path):
    for _ in range(2):  # in the same folder again, as `make up ARGS="--data DIR"` does
        async with running(embedded.mongod(free_port(), tmp_path)) as mongod:
            libraries = _libcurls_of(mongod.pid)
        assert len(libraries) == 1
        assert "pycurl.libs/" in libraries.pop()


def _libcurls_of(pid: int) -> set[str]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {word for word in maps.split() if "/libcurl" in word}
