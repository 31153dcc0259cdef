"""Tokens that are verified once: each time all that can change is checked anew."""

import pytest
from sensorpipe_server.access import tokens
from sensorpipe_server.access.grants import Permissions, Principal
from sensorpipe_server.access.tokens import Accepted, Claimed, RefusedError, Times
from sensorpipe_server.access.verified import Known, VerifiedTokens
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.access.discovery import FetchError
from sensorpipe_server.api.access.sources import FetchedKeys, NoKeysError
from support.tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    access_file,
    grant,
    jwks,
    private_key,
    token,
    verifying,
)


class Signatures:
    """Counts the signatures that are verified."""

    def __init__(self, monkeypatch):
        self.count = 0
        verify = tokens._signed_payload

        def counted(*given):
            self.count += 1
            return verify(*given)

        monkeypatch.setattr(tokens, "_signed_payload", counted)


@pytest.fixture
def signatures(monkeypatch):
    return Signatures(monkeypatch)


class Api:
    """Access by an access file, at a time that a test decides."""

    def __init__(self, folder, *grants, **options):
        self.now = NOW
        self.path = access_file(folder, *grants, **options)
        self.keys = verifying(private_key())
        self.access = Access(
            self.path, fetch=self._fetch, clock=lambda: self.now, monotonic=lambda: self.now
        )

    async def _fetch(self, _issuer, _ca_file):
        return self.keys

    async def read(self, text):
        """Return the facilities that a token may read, or why it is refused."""
        try:
            found = await self.access.permissions([f"Bearer {text}"])
        except RefusedError as error:
            return error.reason
        caller = found.caller("read")
        return caller and list(caller.facilities.patterns)


@pytest.fixture
def api(tmp_path):
    return Api(tmp_path, grant(["read"], ["hall_1"], subject="*"))


@pytest.fixture
def fetching(tmp_path):
    entry = {"issuer": ISSUER, "audiences": [AUDIENCE]}
    return Api(tmp_path, grant(["read"], ["hall_1"], subject="*"), issuers=[entry])


async def test_a_signature_is_verified_once(api, signatures):
    text = token()
    for _ in range(100):
        assert await api.read(text) == ["hall_1"]
    assert signatures.count == 1
    assert await api.read(token(sub="other")) == ["hall_1"]
    assert signatures.count == 2


async def test_each_time_it_may_have_expired_or_not_begun(api, signatures):
    text = token(exp=NOW + 10, nbf=NOW, iat=NOW)
    assert await api.read(text) == ["hall_1"]
    for now, expected in (
        (NOW + 69, ["hall_1"]),
        (NOW + 70, "expired"),
        (NOW - 60, ["hall_1"]),
        (NOW - 61, "not_yet"),
    ):
        api.now = now
        assert await api.read(text) == expected
    assert signatures.count == 1


async def test_a_token_that_differs_in_anything_is_verified_itself(api):
    text = token()
    assert await api.read(text) == ["hall_1"]
    head, claims, signature = text.split(".")
    other = token(sub="admin").split(".")[1]
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    for changed in (f"{head}.{claims}.{flipped}", f"{head}.{other}.{signature}"):
        assert await api.read(changed) == "signature"
    assert await api.read(f"{head}.{claims}.") == "signature"


async def test_refusals_are_not_kept(api):
    wrong = [token(private_key("stranger")), token(aud="other"), token(exp=NOW - 100)]
    for text in wrong * 2:
        assert isinstance(await api.read(text), str)
    assert len(api.access._verified) == 0


async def test_changed_rules_count_at_once(api):
    text = token()
    assert await api.read(text) == ["hall_1"]
    api.path.write_text(api.path.read_text().replace("hall_1", "hall_2"))
    api.access.check_files()
    assert await api.read(text) == ["hall_2"]
    api.path.write_text(api.path.read_text().replace(f"- {AUDIENCE}", "- somewhere-else"))
    api.access.check_files()
    assert await api.read(text) == "audience"


async def test_changed_grants_count_at_once_where_the_keys_stay(fetching):
    text = token()
    assert await fetching.read(text) == ["hall_1"]
    fetching.path.write_text(fetching.path.read_text().replace("hall_1", "hall_2"))
    fetching.access.check_files()
    assert await fetching.read(text) == ["hall_2"]


async def test_a_key_that_is_withdrawn_from_the_file_is_refused_at_once(api):
    text = token()
    assert await api.read(text) == ["hall_1"]
    (api.path.parent / "jwks.json").write_bytes(jwks(private_key("next")))
    api.access.check_files()
    assert await api.read(text) == "key"


async def test_a_key_that_its_issuer_withdraws_or_replaces_is_refused_after_the_fetch(fetching):
    text = token()
    (source,) = fetching.access._sources.values()
    assert isinstance(source, FetchedKeys)
    assert await fetching.read(text) == ["hall_1"]
    for keys, expected in (
        (verifying(private_key("next")), "key"),
        (verifying(private_key()), ["hall_1"]),
        # of the same name, and another one
        (verifying(_named("key-1")), "signature"),
    ):
        fetching.keys = keys
        fetching.now += 600
        await source.refresh()
        assert await fetching.read(text) == expected


async def test_known_tokens_are_refused_once_keys_are_too_old(fetching):

    text = token(exp=NOW + 200_000)
    assert await fetching.read(text) == ["hall_1"]

    async def away(_issuer, _ca_file):
        raise FetchError("away")

    (source,) = fetching.access._sources.values()
    source._fetch = away
    fetching.now += 86_399
    assert await fetching.read(text) == ["hall_1"]
    fetching.now += 1
    with pytest.raises(NoKeysError):
        await fetching.read(text)


def _named(kid):
    """Return another private key of a name that is in use."""
    made = private_key("replacement")
    return type(made).import_key({**made.as_dict(private=True), "kid": kid})


def known(number):
    (key,) = verifying(private_key())
    accepted = Accepted(Principal(ISSUER, "x", number), Times(number, None, None), key)
    return Known(Claimed(ISSUER, "RS256", "key-1"), accepted, Permissions())


def test_the_tokens_that_were_not_used_for_longest_are_forgotten():
    kept = VerifiedTokens(most=3)
    for number in range(3):
        kept.keep(f"t{number}", known(number))
    assert kept.find("t0") == known(0)
    kept.keep("t3", known(3))
    kept.keep("t3", known(4))
    assert [bool(kept.find(f"t{number}")) for number in range(4)] == [True, False, True, True]
    assert len(kept) == 3
    assert kept.find("t3") == known(4)


def test_no_token_is_kept_itself():
    kept = VerifiedTokens()
    kept.keep("secret", known(1))
    assert "secret" not in repr(vars(kept))
