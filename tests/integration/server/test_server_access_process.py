"""The program with an access file: refusals, tokens, and files that change while it runs."""

import time

import pytest
from support.issuers import HttpsIssuer
from support.server_process import Server, answered
from support.tokens import access_file, grant, private_key
from support.waiting import eventually

PATH = "/api/facilities"


@pytest.fixture
async def issuer(tmp_path):
    async with HttpsIssuer(tmp_path) as made:
        yield made


def token(issuer, key=None):
    return {"Authorization": f"Bearer {issuer.token(key, exp=time.time() + 600, iat=None)}"}


async def test_a_running_server_lets_tokens_in_and_takes_new_files_and_keys(tmp_path, issuer):
    server = Server(tmp_path)
    path = access_file(
        tmp_path, grant(["read"], ["*"], subject="somebody"), issuers=[issuer.entry()]
    )
    async with server.restricted(path) as (client, probes):
        assert (await client.get(PATH)).status_code == 401
        assert (await client.get(PATH, headers=token(issuer))).json() == {"data": []}
        assert (await client.get("/")).status_code == 200
        assert issuer.key_requests == 1
        refusals = 'sensorpipe_server_access_refused_total{reason="no_token"} 1.0'
        await eventually(lambda: answered(probes, "/metrics", lambda a: refusals in a.text))

        good = path.read_text()
        path.write_text("grants: 1")
        await eventually(lambda: "The changed access file is not usable" in log(tmp_path))
        assert (await client.get(PATH, headers=token(issuer))).status_code == 200
        path.write_text(good.replace("somebody", "nobody"))

        async def is_refused():
            return (await client.get(PATH, headers=token(issuer))).status_code == 403

        await eventually(is_refused)
        other = token(issuer, private_key("other"))
        assert (await client.get(PATH, headers=other)).status_code == 401


async def test_a_wrong_file_ends_the_program_with_everything_that_is_wrong(tmp_path):
    server = Server(tmp_path)
    path = access_file(tmp_path, {"subject": "x"}, issuers=[])
    child = server.child(SENSORPIPE_AUTH_FILE=str(path))
    try:
        await child.start()
        await eventually(lambda: "sensorpipe-server: SENSORPIPE_AUTH_FILE" in log(tmp_path))
    finally:
        await child.stop()
    said = log(tmp_path)
    assert "  grants[0].scopes: must be given" in said
    assert "  grants[0].facilities: must be given" in said


def log(folder):
    return (folder / "server.log").read_text()
