"""Access to each operation of the API over a real database, with keys of a real HTTPS issuer."""

import time
from contextlib import asynccontextmanager

import httpx2
import pytest
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.dead_letters.newest import Newest
from sensorpipe_server.api.http.metrics import REGISTRY
from sensorpipe_server.api.routes import application
from support.issuers import HttpsIssuer
from support.live_streams import listening, served
from support.openapi_operations import needed, operations_of, path_of
from support.server_parts import T0, fresh_database, one, store
from support.tokens import access_file, grant, private_key, signed

ORIGIN = "https://dash.example.com"
OURS, OTHERS = "hall_1", "hall_2"


class Letters:
    """A Kafka without dead letters."""

    topics = ("a", "b")

    async def search(self, wanted):
        return Newest(wanted, [])


class Api:
    """The API over a database with two facilities, and an issuer of tokens."""

    def __init__(self, access, issuer, port):
        self.access = access
        self.issuer = issuer
        self.port = port

    def token(self, subject="reader", expires_in=600.0, **changed):
        """Return a token of the issuer, by the clock of the machine."""
        now = time.time()
        return self.issuer.token(sub=subject, exp=now + expires_in, iat=now, **changed)

    async def get(self, path, token=None, method="GET", **headers):
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            if path.startswith("/api/live") and method == "GET":
                async with client.stream(method, path, headers=headers) as answer:
                    if answer.status_code != 200:
                        await answer.aread()
                    return answer
            return await client.request(method, path, headers=headers)


GRANTS = (
    grant(["read"], [OURS, "hall_1-*"], subject="reader"),
    grant(["metrics"], [OURS], subject="prometheus"),
    grant(["read", "metrics", "admin"], ["*"], subject="admin"),
)


async def counts():
    return DeadLetterCounts(7, 8)


@asynccontextmanager
async def serving(db, folder, **options):
    """Serve the API with an access file; yield it."""
    async with HttpsIssuer(folder) as issuer:
        path = access_file(folder, *GRANTS, issuers=[issuer.entry()], **options)
        access = Access(path)
        app = application(
            db,
            page_limit=20,
            set_aside=counts,
            dead_letters=Letters(),
            cors_origins=[ORIGIN],
            access=access,
        )
        async with served(app) as port:
            yield Api(access, issuer, port)


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        recent = (int(time.time() * 1000) - T0) // 10_000 - 3
        for facility in (OURS, OTHERS):
            await store(fresh, one([(1, 20.0)], facility=facility, window=recent, src=facility))
        yield fresh


@pytest.fixture
async def api(db, tmp_path):
    async with serving(db, tmp_path) as made:
        yield made


async def described(api):
    """Return by path the operations of the OpenAPI document, which needs no token."""
    answer = await api.get("/openapi.json")
    assert answer.status_code == 200
    return operations_of(answer.json())


def refused(reason):
    name = "sensorpipe_server_access_refused_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0


async def test_each_operation_needs_a_token_and_says_so(api):
    operations = await described(api)
    is_open = {path for path, each in operations.items() if needed(each) is None}
    assert is_open == {"/openapi.json"}
    assert len(operations) >= 9
    before = refused("no_token")
    for path, operation in operations.items():
        if needed(operation) is not None:
            for method in ("GET", "HEAD", "POST"):
                answer = await api.get(path_of(path, operation, OURS), method=method)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == 'Bearer realm="sensorpipe"'
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["cache-control"] == "private, no-cache"
                assert "Authorization" in answer.headers["vary"]
            assert {"401", "403"} <= {*operation["responses"]}
    assert refused("no_token") - before == 3 * (len(operations) - 1)


async def test_each_operation_answers_a_token_with_its_scope_and_no_other(api):
    everything = {"reader": {"read"}, "prometheus": {"metrics"}, "stranger": set(),
                  "admin": {"read", "metrics", "admin"}}  # fmt: skip
    granted = {"reader": "read for hall_1, hall_1-*", "prometheus": "metrics for hall_1",
               "stranger": "nothing"}  # fmt: skip
    for path, operation in (await described(api)).items():
        scope = needed(operation)
        for subject, scopes in everything.items():
            answer = await api.get(path_of(path, operation, OURS), api.token(subject))
            if scope is None or scope in scopes:
                assert answer.status_code == 200, (path, subject)
            else:
                assert answer.status_code == 403, (path, subject)
                assert answer.headers["www-authenticate"] == (
                    f'Bearer realm="sensorpipe", error="insufficient_scope", scope="{scope}"'
                )
                assert answer.json()["detail"] == (
                    f"The token does not grant the scope {scope}; granted: {granted[subject]}"
                )


async def test_each_operation_refuses_another_facility_that_is_named(api):
    before, asked = refused("facility"), 0
    for path, operation in (await described(api)).items():
        theirs = path_of(path, operation, OTHERS, named=True)
        if OTHERS in theirs:
            asked += 1
            answer = await api.get(theirs, api.token())
            assert answer.status_code == 403, path
            assert answer.json()["detail"] == (
                "The token does not grant the facility 'hall_2'; granted: hall_1, hall_1-*"
            )
            allowed = await api.get(path_of(path, operation, OURS, named=True), api.token())
            assert allowed.status_code == 200, path
            unknown = path_of(path, operation, "hall_1-new", named=True)
            assert (await api.get(unknown, api.token())).status_code == 200, path
    assert asked == 5
    assert refused("facility") - before == 5


async def test_no_answer_over_all_facilities_shows_another_one(api):
    """Compare with what somebody is answered who may read all."""
    for path, operation in (await described(api)).items():
        scope = needed(operation)
        if scope in ("read", "metrics") and "{" not in path and path != "/api/live":
            asked = path_of(path, operation, OURS)
            subject = {"read": "reader", "metrics": "prometheus"}[scope]
            theirs = (await api.get(asked, api.token("admin"))).text
            ours = (await api.get(asked, api.token(subject))).text
            assert OURS in theirs, path
            assert OTHERS in theirs, path
            assert OURS in ours, path
            assert OTHERS not in ours, path


async def test_a_pattern_is_narrowed_and_a_mixed_list_is_refused(api):
    answer = await api.get("/api/series?facility=hall_*&format=csv", api.token())
    assert {line.split(",")[1] for line in answer.text.splitlines()[1:]} == {OURS}
    answer = await api.get("/api/series?facility=hall_1,hall_2,x", api.token())
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(
        "The token does not grant the facility 'hall_2', 'x'; granted: hall_1"
    )
    assert (await api.get("/api/series?facility=Hall", api.token())).status_code == 400


async def test_what_is_set_aside_of_all_facilities_is_for_those_who_may_read_all(api):
    ours = (await api.get("/api/integrity", api.token())).json()
    assert ours["totals"]["sources"] == 1
    assert (ours["set_aside"]["dead_letters"], ours["set_aside"]["refused"]) == (None, None)
    theirs = (await api.get("/api/integrity", api.token("admin"))).json()
    assert theirs["totals"]["sources"] == 2
    assert theirs["set_aside"]["dead_letters"] == 7


@pytest.mark.parametrize(
    ("changed", "reason", "detail"),
    [
        ({"aud": "other"}, "audience", "aud must have sensorpipe"),
        ({"iss": "https://other.example"}, "issuer", "not one of this API"),
        ({"expires_in": -61}, "expired", "has expired"),
        ({"nbf": 2e9}, "not_yet", "not valid yet"),
    ],
)
async def test_a_wrong_token_is_told_the_check_that_failed(api, changed, reason, detail):
    before = refused(reason)
    answer = await api.get("/api/facilities", api.token(**changed))
    assert answer.status_code == 401
    assert detail in answer.json()["detail"]
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="sensorpipe", error="invalid_token", error_desc')
    assert detail in challenge
    assert refused(reason) == before + 1


async def test_what_is_no_token_is_refused(api):
    before = refused("malformed")
    for header in ("Basic YTpi", "Bearer x", "Bearer a.b.c"):
        assert (await api.get("/api/facilities", Authorization=header)).status_code == 401
    assert refused("malformed") == before + 3
    large = await api.get("/api/facilities", "x" * 20_000)
    assert (large.status_code, "16384" in large.text) == (401, True)


async def test_page_and_probes_of_browsers_need_no_token(api):
    page = await api.get("/")
    assert page.status_code == 200
    assert "vary" not in page.headers or "Authorization" not in page.headers["vary"]
    for path in ("/favicon.ico", "/api", "/api/nothing", "/api/facilities/"):
        assert (await api.get(path)).status_code == 404
    options = await api.get("/api/facilities", method="OPTIONS")
    assert options.status_code == 204
    asks = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await api.get("/api/facilities", method="OPTIONS", Origin=ORIGIN, **asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    refusal = await api.get("/api/facilities", Origin=ORIGIN)
    assert refusal.status_code == 401
    assert refusal.headers["access-control-allow-origin"] == ORIGIN


async def test_answers_are_for_their_sender_only(api):
    fixed = "/api/sensors/hall_1?from=2020-01-01&to=2020-01-02"
    for path in (fixed, "/api/facilities", "/api/series?facility=hall_1&format=csv"):
        answer = await api.get(path, api.token())
        assert answer.headers["cache-control"].split(",")[0] == "private", path
        assert "public" not in answer.headers["cache-control"]
        assert "Authorization" in answer.headers["vary"]
        tag = answer.headers["etag"]
        # of another token of the same subject, but not of another subject
        same = await api.get(path, api.token(expires_in=700), **{"If-None-Match": tag})
        assert (same.status_code, same.headers["cache-control"].split(",")[0]) == (304, "private")
        other = await api.get(fixed, api.token("admin"), **{"If-None-Match": tag})
        assert other.status_code == 200
        assert other.headers["etag"] != tag


async def test_everybody_may_read_what_the_file_says(db, tmp_path):
    anonymous = {"scopes": ["read"], "facilities": [OTHERS]}
    async with serving(db, tmp_path, anonymous=anonymous) as api:
        names = [
            each["facility_name"] for each in (await api.get("/api/facilities")).json()["data"]
        ]
        assert names == [OTHERS]
        assert (await api.get("/metrics/sensors")).status_code == 401
        assert (await api.get("/api/sensors/hall_1")).status_code == 403
        both = (await api.get("/api/facilities", api.token())).json()["data"]
        assert [each["facility_name"] for each in both] == [OURS, OTHERS]
        # a wrong token is not the same as none
        assert (await api.get("/api/facilities", "a.b.c")).status_code == 401


async def test_a_rotated_key_is_taken_without_a_failure_and_a_flood_asks_seldom(api):
    assert (await api.get("/api/facilities", api.token())).status_code == 200
    asked = api.issuer.key_requests
    for number in range(20):
        unknown = signed({"iss": api.issuer.url}, private_key("flood"), kid=f"k{number}")
        assert (await api.get("/api/facilities", unknown)).status_code == 401
    assert api.issuer.key_requests == asked
    (source,) = api.access._sources.values()
    source._cache._asked_at -= 31
    api.issuer.keys = (private_key(), private_key("next"))
    assert (await api.get("/api/facilities", api.token(key=private_key("next")))).status_code == 200
    assert (await api.get("/api/facilities", api.token())).status_code == 200
    assert api.issuer.key_requests == asked + 1


async def test_while_the_issuer_is_away_known_keys_do_and_unknown_ones_are_503(db, tmp_path):
    async with serving(db, tmp_path) as api:
        await api.issuer.stop()
        answer = await api.get("/api/facilities", api.token())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "keys of the token's issuer cannot be fetched" in answer.json()["detail"]
        (source,) = api.access._sources.values()
        source._cache._asked_at -= 31
        await api.issuer.start()
        assert (await api.get("/api/facilities", api.token())).status_code == 200
        await api.issuer.stop()
        source._cache._fetched_at -= 3600
        await source.refresh()
        assert (await api.get("/api/facilities", api.token())).status_code == 200


async def ended(stream):
    """Read a stream to its end, which is a proper one; return the id where it may go on."""
    try:
        while True:
            await stream.block()
    except EOFError:
        return stream.last_id


async def test_a_live_stream_has_the_granted_facilities_also_when_it_resumes(db, api):
    async with listening(api.port, token=api.token()) as stream:
        assert stream.headers["cache-control"] == "private, no-cache"
        await store(db, one([(1, 1.0)], facility=OTHERS, window=1, src="b"))
        await store(db, one([(1, 1.0)], facility=OURS, window=1, src="a"))
        assert (await stream.event()).data["facility_name"] == OURS
        last = stream.last_id
    await store(db, one([(1, 1.0)], facility=OTHERS, window=2, src="b", number=2))
    await store(db, one([(1, 1.0)], facility=OURS, window=2, src="a", number=2))
    async with listening(api.port, "facility=hall*", last, token=api.token()) as stream:
        assert (await stream.event()).data["facility_name"] == OURS


async def test_a_live_stream_ends_with_its_token(api):
    token = api.token(expires_in=-60)
    async with listening(api.port, token=token) as stream:
        assert stream.status == 401
    api.access._clock = lambda: time.time() - 60  # it passes just before, so the stream begins
    async with listening(api.port, token=token) as stream:
        assert stream.status == 200
        assert await ended(stream)


async def test_a_live_stream_ends_when_access_changes(api):
    async with listening(api.port, token=api.token()) as stream:
        path = api.access._path
        path.write_text(path.read_text().replace("subject: reader", "subject: nobody"))
        api.access.check_files()
        assert await ended(stream)
    async with listening(api.port, token=api.token()) as stream:
        assert stream.status == 403
