"""`sensorpipe token`: what it signs is what the server takes."""

import pytest
from sensorpipe_cli.commands.token import SCOPES, Claims, content, signed, token
from sensorpipe_cli.errors import UnusableError
from sensorpipe_server.access.grants import Grants
from sensorpipe_server.access.keys import secret_key
from sensorpipe_server.access.rules import SCOPES as KNOWN
from sensorpipe_server.access.rules import parse
from sensorpipe_server.access.tokens import RefusedError
from support.tokens import NOW, SECRET, verified

RULES = parse(
    {
        "issuers": [
            {
                "issuer": "sensorpipe",
                "audiences": ["sensorpipe"],
                "secretFile": "secret",
                "claims": {"scopes": "/scopes", "facilities": "/facilities"},
            }
        ],
        "grants": [{"subject": "dash", "scopes": ["metrics"], "facilities": ["hall_9"]}],
    }
)


def printed(tmp_path, capsys, claims, secret=SECRET):
    (tmp_path / "secret").write_text(f"{secret}\n")
    token(tmp_path / "secret", claims, lambda: NOW + 0.9)
    return capsys.readouterr().out.removesuffix("\n")


def reads(text, now=NOW):
    """Return by scope the facilities that the server lets a token read."""
    who = verified(text, RULES.issuers[0], secret_key(SECRET.encode()), now)
    found = Grants(RULES).permissions(who).by_scope
    return {name: list(each.patterns) for name, each in found.items()}


def test_a_token_is_taken_and_grants_what_it_says_and_the_file_says(tmp_path, capsys):
    claims = Claims("dash", scopes=("read",), facilities=("hall_1", "hall_2-*"))
    text = printed(tmp_path, capsys, claims)
    assert reads(text) == {"read": ["hall_1", "hall_2-*"], "metrics": ["hall_9"]}


def test_it_is_valid_for_as_long_as_is_said(tmp_path, capsys):
    text = printed(tmp_path, capsys, Claims("other", seconds=90))
    assert reads(text, NOW + 90 + 59) == {}
    with pytest.raises(RefusedError, match="expired"):
        reads(text, NOW + 90 + 60)


def test_without_scopes_it_says_nothing_of_them():
    assert {*content(Claims("x"), 0)} == {"iss", "aud", "sub", "iat", "exp"}


def test_another_secret_is_refused():
    with pytest.raises(RefusedError):
        reads(signed(content(Claims("dash"), int(NOW)), b"y" * 32))


def test_everything_that_is_wrong_is_named(tmp_path, capsys):
    claims = Claims("x", seconds=0.5, scopes=("admin", "write"), facilities=("Hall", "hall_*"))
    with pytest.raises(UnusableError) as caught:
        printed(tmp_path, capsys, claims, "short")
    first, *others = caught.value.problems
    assert first.startswith("--facility: must be 1 to 63")
    assert first.endswith("got 'Hall'")
    assert [each.partition(":")[0] for each in others] == [
        "--scope",
        "--scope admin",
        "--for",
        f"--secret-file {tmp_path / 'secret'}",
    ]
    with pytest.raises(UnusableError, match="must be given together"):
        printed(tmp_path, capsys, Claims("x", scopes=("read",)))


def test_the_scopes_are_those_of_the_server():
    assert SCOPES == KNOWN
