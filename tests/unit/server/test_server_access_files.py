"""The access file and those that it names: read at the start, taken again when they change."""

import logging

import pytest
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_server.access import files
from sensorpipe_server.access.files import read_access
from sensorpipe_server.access.rules import AccessError, issuer_text
from sensorpipe_server.access.tokens import RefusedError
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.settings import Settings
from support.tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    access_file,
    grant,
    jwks,
    private_key,
    secret_token,
    token,
)

SHARED = {"issuer": "sensorpipe", "audiences": [AUDIENCE], "secretFile": "secret"}


def replaced(path, content):
    """Replace a file, as an update of a mounted volume does."""
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


async def reads(access, text):
    """Return what a token may read; the reason if it is refused."""
    try:
        found = await access.permissions([f"Bearer {text}"])
    except RefusedError as error:
        return error.reason
    return {name: list(each.patterns) for name, each in found.by_scope.items()}


def access_of(path):
    return Access(path, clock=lambda: NOW)


def test_by_default_there_is_none():
    assert Settings.read({}).auth_file is None


def test_a_setting_names_everything_that_is_wrong(tmp_path):
    path = access_file(tmp_path, issuers=[SHARED, {**SHARED, "issuer": "b", "audiences": []}])
    with pytest.raises(SettingsError) as caught:
        Settings.read({"SENSORPIPE_AUTH_FILE": str(path)})
    assert str(caught.value) == (
        "SENSORPIPE_AUTH_FILE: the access file is wrong:\n"
        "  issuers[1].audiences: must be a list of 1 to 16; got a list of 0"
    )
    (tmp_path / "access.yaml").write_text("issuers: [")
    with pytest.raises(SettingsError, match=r"access.yaml: line 2, column 1: not YAML"):
        Settings.read({"SENSORPIPE_AUTH_FILE": str(path)})


def test_a_right_setting_is_the_path(tmp_path):
    path = access_file(tmp_path)
    assert Settings.read({"SENSORPIPE_AUTH_FILE": str(path)}).auth_file == path


def test_all_files_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "short").write_text("short")
    issuers = [
        {"issuer": "a", "audiences": [AUDIENCE], "jwksFile": "missing.json"},
        {"issuer": "b", "audiences": [AUDIENCE], "secretFile": "short"},
        {"issuer": "https://c", "audiences": [AUDIENCE], "caFile": "short"},
        {"name": "d", "issuerFile": "none", "audiences": [AUDIENCE], "secretFile": "short"},
        {"name": "e", "issuerFile": "empty", "audiences": [AUDIENCE]},
    ]
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(AccessError) as caught:
        read_access(access_file(tmp_path, issuers=issuers))
    first, second, third, fourth, _, sixth = caught.value.problems
    reason = "cannot be read: No such file or directory"
    assert first == f"issuers[0].jwksFile: {tmp_path}/missing.json: {reason}"
    assert second.startswith(f"issuers[1].secretFile: {tmp_path}/short: must have 32 to 1024 bytes")
    assert third.startswith(f"issuers[2].caFile: {tmp_path}/short holds no certificates")
    assert fourth == f"issuers[3].issuerFile: {tmp_path}/none: {reason}"
    assert sixth == (
        f"issuers[4].issuerFile: {tmp_path}/empty: must hold one line of 1 to 512 printable "
        "characters; got ''"
    )


async def test_a_token_may_read_what_its_grants_say(tmp_path):
    access = access_of(access_file(tmp_path, grant(["read"], ["hall_*"], subject="somebody")))
    assert await reads(access, token()) == {"read": ["hall_*"]}
    assert await reads(access, token(sub="other")) == {}
    assert await reads(access, token(iss="https://other.example")) == "issuer"
    assert await reads(access, token(private_key("other"))) == "key"


async def test_a_changed_file_is_taken_and_those_who_care_are_told(tmp_path):
    path = access_file(tmp_path, grant(["read"], ["a"], subject="*"))
    access, told = access_of(path), []
    access.on_change.append(lambda: told.append(1))
    access.check_files()
    assert not told
    replaced(path, path.read_bytes().replace(b"- a\n", b"- bb\n"))
    access.check_files()
    assert (await reads(access, token()), told) == ({"read": ["bb"]}, [1])


async def test_while_a_changed_file_is_wrong_the_old_one_stays_in_use(tmp_path, caplog):
    path = access_file(tmp_path, grant(["read"], ["a"], subject="*"))
    access, good = access_of(path), path.read_bytes()
    caplog.set_level(logging.INFO)
    replaced(path, b"grants: [{}]")
    for _ in range(3):
        access.check_files()
    assert await reads(access, token()) == {"read": ["a"]}
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "grants[0].scopes: must be given" in said.error
    replaced(path, good.replace(b"- a\n", b"- b\n"))
    access.check_files()
    assert await reads(access, token()) == {"read": ["b"]}
    assert caplog.records[-1].message == "The changed access file is in use"


async def test_a_file_that_comes_later_than_the_one_that_names_it_is_taken_once_it_is_there(
    tmp_path,
):
    path = access_file(tmp_path, grant(["read"], ["a"], subject="*"))
    access, good = access_of(path), path.read_bytes()
    replaced(path, good.replace(b"jwks.json", b"later.json"))
    access.check_files()
    assert await reads(access, token(private_key("later"))) == "key"
    (tmp_path / "later.json").write_bytes(jwks(private_key("later")))
    access.check_files()
    assert await reads(access, token(private_key("later"))) == {"read": ["a"]}


async def test_keys_and_secrets_are_replaced_with_their_files(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    both = [{"issuer": ISSUER, "audiences": [AUDIENCE], "jwksFile": "jwks.json"}, SHARED]
    (tmp_path / "jwks.json").write_bytes(jwks(private_key("a")))
    access = access_of(access_file(tmp_path, issuers=both))
    assert await reads(access, token(private_key("a"))) == {}
    assert await reads(access, secret_token()) == {}
    replaced(tmp_path / "jwks.json", jwks(private_key("b")))
    replaced(tmp_path / "secret", b"y" * 32)
    access.check_files()
    assert await reads(access, token(private_key("a"))) == "key"
    assert await reads(access, token(private_key("b"))) == {}
    assert await reads(access, secret_token()) == "signature"
    assert await reads(access, secret_token(b"y" * 32)) == {}


class Mounted:
    """A ConfigMap with issuer and keys as the kubelet mounts it, and an access file for it."""

    NEW = "https://kubernetes.default.svc"

    def __init__(self, folder):
        self.folder = folder / "cluster"
        self.folder.mkdir()
        self.put(1, ISSUER, private_key("a"))
        for name in ("issuer", "jwks.json"):
            (self.folder / name).symlink_to(f"..data/{name}")
        cluster = {
            "name": "cluster",
            "issuerFile": "cluster/issuer",
            "audiences": [AUDIENCE],
            "jwksFile": "cluster/jwks.json",
        }
        self.access_file = access_file(
            folder, grant(["read"], ["a"], subject="*", issuer="cluster"), issuers=[cluster]
        )

    def put(self, number, issuer, *keys):
        """Replace both files by changing the link to their folder."""
        data = self.folder / f"..{number}"
        data.mkdir()
        (data / "issuer").write_text(f"{issuer}\n")
        (data / "jwks.json").write_bytes(jwks(*keys))
        link = self.folder / "..data_tmp"
        link.symlink_to(data.name)
        link.replace(self.folder / "..data")

    @staticmethod
    async def read_by(access):
        """Return what tokens of the old issuer and of the new one may read."""
        old = await reads(access, token(private_key("a")))
        return old, await reads(access, token(private_key("b"), iss=Mounted.NEW))


async def test_an_issuer_of_a_file_is_replaced_together_with_its_keys(tmp_path):
    mounted = Mounted(tmp_path)
    access, may = access_of(mounted.access_file), {"read": ["a"]}
    assert await mounted.read_by(access) == (may, "issuer")
    mounted.put(2, mounted.NEW, private_key("b"))
    access.check_files()
    assert await mounted.read_by(access) == ("issuer", may)
    mounted.put(3, mounted.NEW)  # without keys: the old ones stay, and so does their issuer
    mounted.put(4, "")
    access.check_files()
    assert await mounted.read_by(access) == ("issuer", may)


async def test_files_that_are_replaced_while_they_are_read_are_not_mixed(tmp_path, monkeypatch):
    mounted, may = Mounted(tmp_path), {"read": ["a"]}
    swaps = iter([lambda: mounted.put(2, mounted.NEW, private_key("b"))])
    original = issuer_text

    def read_and_swap(content):
        next(swaps, lambda: None)()  # the issuer is read, its keys are not
        return original(content)

    monkeypatch.setattr(files, "issuer_text", read_and_swap)
    assert await mounted.read_by(access_of(mounted.access_file)) == ("issuer", may)


async def test_a_change_between_reading_files_and_watching_them_is_seen(tmp_path, monkeypatch):
    mounted = Mounted(tmp_path)
    found = read_access(mounted.access_file)
    monkeypatch.setattr("sensorpipe_server.api.access.access.read_access", lambda _path: found)
    mounted.put(2, mounted.NEW, private_key("b"))
    access = access_of(mounted.access_file)
    monkeypatch.undo()
    access.check_files()
    assert await mounted.read_by(access) == ("issuer", {"read": ["a"]})


def test_files_that_never_rest_are_a_problem(tmp_path, monkeypatch):
    mounted = Mounted(tmp_path)
    numbers = iter(range(2, 100))
    original = issuer_text

    def read_and_swap(content):
        mounted.put(next(numbers), ISSUER, private_key("a"))
        return original(content)

    monkeypatch.setattr(files, "issuer_text", read_and_swap)
    with pytest.raises(AccessError, match="the files change all the time"):
        read_access(mounted.access_file)


async def test_fetched_keys_stay_when_another_part_of_the_file_changes(tmp_path):
    discovered = [{"issuer": ISSUER, "audiences": [AUDIENCE]}]
    path = access_file(tmp_path, grant(["read"], ["a"], subject="*"), issuers=discovered)
    asked = []

    async def fetch(issuer, ca_file):
        asked.append((issuer.discovery, ca_file))
        return read_access(access_file(tmp_path / "keys")).keys[ISSUER]

    (tmp_path / "keys").mkdir()
    access = Access(path, fetch=fetch, clock=lambda: NOW)
    assert await reads(access, token()) == {"read": ["a"]}
    replaced(path, path.read_bytes().replace(b"- a\n", b"- bb\n"))
    access.check_files()
    assert await reads(access, token()) == {"read": ["bb"]}
    assert asked == [(f"{ISSUER}/.well-known/openid-configuration", None)]
