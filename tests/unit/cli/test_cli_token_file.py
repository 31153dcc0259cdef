"""Where a command has its token from: a file that may be replaced, or standard input."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sensorpipe_cli.client import token_file
from sensorpipe_cli.client.token_file import read_token
from sensorpipe_cli.errors import UnusableError


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A token comes by a pipe."""
    token_file._stdin.cache_clear()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a.b.c\n")))
    yield
    token_file._stdin.cache_clear()


def test_a_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    assert read_token(path) == "first"
    path.write_text("second\n")
    assert read_token(path) == "second"


@pytest.mark.usefixtures("piped")
def test_standard_input_is_read_once_for_all_requests() -> None:
    assert [read_token(Path("-")) for _ in range(3)] == ["a.b.c"] * 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "must hold a token of printable ASCII characters; got nothing"),
        (b"a\x1bb", "must hold a token of printable ASCII characters; got others"),
        ("é".encode(), "must hold a token of printable ASCII characters; got others"),
    ],
)
def test_what_is_no_token_is_said(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UnusableError) as caught:
        read_token(path)
    assert caught.value.problems == [f"--token-file {path}: {why}"]


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="No such file"):
        read_token(tmp_path / "missing")


def test_without_a_file_there_is_no_token() -> None:
    assert read_token(None) is None
