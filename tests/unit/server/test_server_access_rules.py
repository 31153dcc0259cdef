"""The access file: what is allowed, and all that is wrong with it at once."""

import re

import pytest
import yaml
from sensorpipe_server.access.grants import Grants, Principal
from sensorpipe_server.access.rules import AccessError, issuer_text, parse, with_issuers
from support.services import ROOT

EXAMPLE = """
issuers:
  - issuer: https://kubernetes.default.svc.cluster.local
    audiences: [sensorpipe]
    jwksFile: jwks/cluster.json
  - issuer: https://login.example.com/realms/plant
    audiences: [sensorpipe, other]
    caFile: ca.crt
    claims: {groups: /realm_access/roles}
  - issuer: sensorpipe
    audiences: [sensorpipe]
    secretFile: secret
    claims: {scopes: /scope, facilities: /facilities}
grants:
  - issuer: https://kubernetes.default.svc.cluster.local
    subject: "system:serviceaccount:team-a:*"
    scopes: [read]
    facilities: [hall_1, "hall_2-*"]
  - issuer: https://login.example.com/realms/plant
    group: plant-admins
    scopes: [read, admin]
    facilities: ["*"]
anonymous: {scopes: [metrics], facilities: [hall_9]}
"""
CLUSTER = "https://kubernetes.default.svc.cluster.local"
PLANT = "https://login.example.com/realms/plant"


def rules(text=EXAMPLE):
    return parse(yaml.safe_load(text))


def problems(text):
    with pytest.raises(AccessError) as caught:
        rules(text)
    return list(caught.value.problems)


def principal(issuer=CLUSTER, subject="somebody", **more):
    return Principal(issuer, subject, 0.0, **more)


def may(who, text=EXAMPLE):
    """Return by scope the facilities that somebody may read."""
    found = Grants(rules(text)).permissions(who).by_scope
    return {name: list(each.patterns) for name, each in found.items()}


def test_issuers_have_their_keys_in_a_file_or_by_discovery():
    cluster, plant, secret = rules().issuers
    assert (cluster.discovery, secret.discovery) == (None, None)
    assert plant.discovery == f"{PLANT}/.well-known/openid-configuration"
    assert plant.claims.groups == ("realm_access", "roles")
    assert cluster.claims.subject == ("sub",)


def test_a_discovery_url_of_its_own():
    one = EXAMPLE.replace("caFile: ca.crt", "discoveryUrl: https://inside/.well-known/x")
    assert rules(one).issuers[1].discovery == "https://inside/.well-known/x"


def test_grants_are_for_subjects_and_groups_of_an_issuer():
    nobody = {"metrics": ["hall_9"]}
    team = principal(subject="system:serviceaccount:team-a:dash")
    assert may(team) == {**nobody, "read": ["hall_1", "hall_2-*"]}
    assert may(principal(subject="system:serviceaccount:team-ab:dash")) == nobody
    assert may(principal(PLANT, "system:serviceaccount:team-a:dash")) == nobody
    admins = frozenset({"plant-admins"})
    assert may(principal(PLANT, groups=admins)) == {**nobody, "read": ["*"], "admin": ["*"]}
    assert may(principal(CLUSTER, groups=admins)) == nobody
    assert may(None) == nobody


def test_several_grants_add_up():
    text = """
    issuers: [{issuer: a, audiences: [b], secretFile: c}]
    grants:
      - {subject: "*", scopes: [read], facilities: [hall_1]}
      - {subject: "x*", scopes: [read, metrics], facilities: [hall_2]}
    """
    assert may(principal("a", "xy"), text) == {"read": ["hall_1", "hall_2"], "metrics": ["hall_2"]}
    assert may(principal("a", "yx"), text) == {"read": ["hall_1"]}


def test_a_token_grants_itself_what_its_issuer_may_say_but_dead_letters_only_of_all():
    own = principal("sensorpipe", scopes=frozenset({"read", "admin"}), facilities=("hall_1",))
    assert may(own) == {"read": ["hall_1"], "metrics": ["hall_9"]}
    own = principal("sensorpipe", scopes=frozenset({"admin"}), facilities=("*",))
    assert may(own)["admin"] == ["*"]
    assert may(principal("sensorpipe", scopes=frozenset({"read"}))) == {"metrics": ["hall_9"]}


def test_what_is_wrong_is_named_all_at_once():
    text = """
    issuers:
      - {issuer: a, audiences: [], jwksFiles: b}
      - {issuer: a, audiences: [b], claims: {groups: groups}}
    grants:
      - {subject: x, scopes: [write], facilities: [Hall]}
      - {subject: 1, scopes: [read]}
    anonymus: {}
    """
    assert problems(text) == [
        "anonymus: unknown field; did you mean anonymous?",
        "issuers[1].issuer: must be unique; 'a' is also issuers[0]",
        "issuers[0].jwksFiles: unknown field; did you mean jwksFile?",
        "issuers[0].audiences: must be a list of 1 to 16; got a list of 0",
        (
            "issuers[1].claims.groups: must be a path such as /groups or /realm/roles; '~1' stands "
            "for '/'; got 'groups'"
        ),
        "grants[0].scopes[0]: must be one of read, metrics, admin; got 'write'",
        (
            "grants[0].facilities[0]: must be 1 to 63 lower-case letters, digits, '-' or '_', "
            "beginning and ending with a letter or digit, or have '*' in the place of any "
            "characters; got 'Hall'"
        ),
        "grants[1].subject: must be text, in quotes if it looks like something else; got 1",
        "grants[1].facilities: must be given (a list of 0 to 500)",
    ]


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("{issuer: a, audiences: [b], jwksFile: c, secretFile: d}",
         "issuers[0]: must have one of jwksFile and secretFile, not both"),
        ("{issuer: a, audiences: [b], jwksFile: c, caFile: d}",
         "issuers[0].caFile: must not be given where the keys are in a file"),
        ("{issuer: a, audiences: [b], secretFile: c, discoveryUrl: 'https://d'}",
         "issuers[0].discoveryUrl: must not be given where the keys are in a file"),
        ("{issuer: 'http://a', audiences: [b]}",
         ("issuers[0].issuer: must be an address https://HOST/PATH, or jwksFile, secretFile or "
         "discoveryUrl must be given; got 'http://a'")),
        ("{issuer: 'https://a', audiences: [b], discoveryUrl: 'http://a'}",
         "issuers[0].discoveryUrl: must be an address https://HOST/PATH; got 'http://a'"),
        ("{audiences: [b], jwksFile: c}",
         "issuers[0]: must have exactly one of issuer and issuerFile; got none of them"),
        ("{issuer: a, issuerFile: a, audiences: [b], jwksFile: c}",
         "issuers[0]: must have exactly one of issuer and issuerFile; got both"),
        ("{issuer: a, audiences: [b, b], jwksFile: c}",
         "issuers[0].audiences: must not have 'b' twice"),
        ("{issuer: a, audiences: [b], jwksFile: c, claims: {scopes: /scope}}",
         "issuers[0].claims: must have both of scopes and facilities, or neither"),
    ],
)  # fmt: skip
def test_a_wrong_issuer(issuer, expected):
    assert problems(f"issuers: [{issuer}]") == [expected]


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("{scopes: [read], facilities: ['*']}",
         "grants[0]: must have exactly one of subject and group; got none of them"),
        ("{subject: a, group: b, scopes: [read], facilities: ['*']}",
         "grants[0]: must have exactly one of subject and group; got both"),
        ("{subject: a, issuer: c, scopes: [read], facilities: ['*']}",
         "grants[0].issuer: must be one of issuers, a, b; got 'c'"),
        ("{subject: a, scopes: [read], facilities: ['*']}",
         "grants[0].issuer: must be given where there are several issuers"),
        ("{group: a, issuer: a, scopes: [read], facilities: ['*']}",
         "grants[0].group: needs an issuer with claims.groups"),
        ("{subject: a, issuer: a, scopes: [read], facilities: []}",
         "grants[0].facilities: must have an entry; '*' stands for all facilities"),
        ("{subject: a, issuer: a, scopes: [admin], facilities: [hall_*]}",
         ("grants[0].facilities: must have '*' with the scope admin: dead letters do not tell "
         "their facility")),
    ],
)  # fmt: skip
def test_a_wrong_grant(grant, expected):
    text = """
    issuers:
      - {issuer: a, audiences: [x], secretFile: c}
      - {issuer: b, audiences: [x], secretFile: c, claims: {groups: /g}}
    """
    found = problems(f"{text}\n    grants: [{grant}]")
    several = "grants[0].issuer: must be given where there are several issuers"
    assert [each for each in found if each == expected or each != several] == [expected]


@pytest.mark.parametrize("text", ["", "[]", "issuers: []", "anonymous: {scopes: []}"])
def test_a_file_by_which_nobody_could_read_anything_is_wrong(text):
    assert problems(text)


NAMED = """
issuers:
  - {name: cluster, issuerFile: issuer, audiences: [sensorpipe], jwksFile: jwks.json}
  - {name: plant, issuer: "https://login.example.com/realms/plant", audiences: [sensorpipe]}
  - {issuer: third, audiences: [sensorpipe], secretFile: secret}
grants:
  - {issuer: cluster, subject: "*", scopes: [read], facilities: [a]}
  - {issuer: plant, subject: "*", scopes: [read], facilities: [b]}
  - {issuer: third, subject: "*", scopes: [read], facilities: [c]}
"""


def test_grants_name_an_issuer_by_its_name_and_are_for_what_its_file_holds():
    found = with_issuers(rules(NAMED), {0: CLUSTER})
    assert [each.issuer for each in found.issuers] == [CLUSTER, PLANT, "third"]
    grants = Grants(found)
    for issuer, facility in ((CLUSTER, "a"), (PLANT, "b"), ("third", "c")):
        assert found.issuer(issuer)
        may_read = grants.permissions(principal(issuer)).by_scope["read"]
        assert may_read.patterns == (facility,)
    for name in ("cluster", "plant"):  # what grants call it is no claim of a token
        assert found.issuer(name) is None
        assert not grants.permissions(principal(name)).by_scope


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("issuer: plant,", f"issuer: '{PLANT}',",
         f"grants[1].issuer: must be one of issuers, cluster, plant, third; got '{PLANT}'"),
        ("name: plant", "name: cluster",
         "issuers[1].name: must be unique; 'cluster' is also issuers[0]"),
        ("name: plant", "name: third",
         "issuers[2].issuer: must be unique; 'third' is also issuers[1]"),
        ("name: cluster, ", "",
         "issuers[0].name: must be given with issuerFile where grants have to name the issuer"),
    ],
)  # fmt: skip
def test_names_that_grants_could_not_tell_apart(old, new, expected):
    assert expected in problems(NAMED.replace(old, new))


def test_an_issuer_of_a_file_needs_no_name_where_it_is_the_only_one():
    text = """
    issuers: [{issuerFile: issuer, audiences: [b], jwksFile: c}]
    grants: [{subject: "*", scopes: [read], facilities: [a]}]
    """
    found = Grants(with_issuers(rules(text), {0: CLUSTER}))
    assert found.permissions(principal(CLUSTER)).by_scope["read"].patterns == ("a",)
    named = text.replace("{subject", "{issuer: x, subject")
    assert problems(named) == [
        "issuers[0].name: must be given with issuerFile where grants have to name the issuer"
    ]


def test_what_files_hold_is_checked_as_issuers_are():
    with pytest.raises(AccessError) as caught:
        with_issuers(rules(NAMED), {0: PLANT})
    assert caught.value.problems == (
        f"issuers[1].issuer: must be unique; {PLANT!r} is also issuers[0]",
    )
    text = "issuers: [{issuerFile: a, audiences: [b]}]"
    with pytest.raises(AccessError) as caught:
        with_issuers(rules(text), {0: "http://a"})
    (problem,) = caught.value.problems
    assert problem.startswith("issuers[0].issuerFile: must be an address https://HOST/PATH, or")
    discovered = with_issuers(rules(text), {0: "https://a"}).issuers[0]
    assert discovered.discovery == "https://a/.well-known/openid-configuration"


def test_an_issuer_is_the_only_line_of_its_file():
    assert issuer_text(b" https://a b\r\n\n") == "https://a b"
    assert issuer_text(b"x" * 512) == "x" * 512
    for wrong in (b"", b" \n", b"a\nb", b"a\tb", b"x" * 513):
        with pytest.raises(ValueError, match="must hold one line of 1 to 512 printable char"):
            issuer_text(wrong)
    with pytest.raises(ValueError, match="must be UTF-8"):
        issuer_text(b"a\xff")


def test_everybody_may_be_let_in_without_issuers():
    text = "anonymous: {scopes: [read], facilities: ['*']}"
    assert may(None, text) == {"read": ["*"]}


def test_the_page_about_access_shows_a_right_file_and_has_every_field():
    page = (ROOT / "docs/access.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    first, secret = (each for each in blocks if each.startswith("issuers:"))
    assert len(rules(first).grants) == 2
    assert rules(secret).issuers[0].claims.facilities == ("facilities",)
    for block in (each for each in blocks if each.startswith("server:")):
        assert_right_values(yaml.safe_load(block)["server"]["auth"])
    rows = "".join(re.findall(r"(?m)^\| (`.*?) \|", page.partition("## The fields")[2]))
    for field in (*fields("issuers", 2), *fields("grants", 1), *fields("anonymous", 1)):
        assert f"{field}`" in rows, field


def assert_right_values(auth):
    """Check grants and issuers of the chart's values, which follow the chart's own issuer."""
    cluster = {"name": "cluster", "issuerFile": "a", "jwksFile": "b", "audiences": ["sensorpipe"]}
    found = parse({"issuers": [cluster, *auth["issuers"]], "grants": auth.get("grants", [])})
    assert len(found.issuers) > 1


def fields(name, expected):
    """Return the names of the fields that a wrong one is told are allowed."""
    part = "{wrongest: 1}" if name == "anonymous" else "[{wrongest: 1}]"
    said = next(each for each in problems(f"{name}: {part}") if "wrongest" in each)
    found = said.partition("allowed are ")[2].split(", ")
    assert len(found) > expected
    return found
