"""The token that `sensorpipe verify` sends."""

import pytest
from support.integrity_stub import answering, verify


@pytest.fixture
def stub():
    with answering() as made:
        yield made


def test_it_sends_the_token_of_a_file(stub, tmp_path):
    (tmp_path / "token").write_text("abc.def.ghi\n")
    done = verify(stub.url, "--token-file", str(tmp_path / "token"), "--facility", "a")
    assert done.returncode == 0, done.stderr
    verify(stub.url)
    assert stub.authorizations == ["Bearer abc.def.ghi", None]


def test_it_sends_the_token_of_standard_input(stub):
    done = verify(stub.url, "--token-file", "-", "--facility", "a", stdin="abc.def.ghi\n")
    assert done.returncode == 0, done.stderr
    assert stub.authorizations == ["Bearer abc.def.ghi"]


def test_a_token_file_that_is_not_there_is_named(stub, tmp_path):
    done = verify(stub.url, "--token-file", str(tmp_path / "none"))
    assert done.returncode == 2
    assert f"--token-file {tmp_path}/none: " in done.stderr


@pytest.mark.parametrize("wrong", ["abc\nX: y", "é"])
def test_a_file_without_a_token_is_named(stub, tmp_path, wrong):
    (tmp_path / "token").write_text(wrong)
    done = verify(stub.url, "--token-file", str(tmp_path / "token"))
    assert done.returncode == 2
    assert f"--token-file {tmp_path}/token" in done.stderr
    assert stub.authorizations == []
