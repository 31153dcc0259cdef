"""The access file: issuers of tokens and grants, with everything that is wrong with it. Pure.

It is shaped like the AuthenticationConfiguration of Kubernetes; docs/security.md describes it. The
tables below are the rules.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_schema.feed.pointer import POINTER_RULE, Pointer, parse_pointer, write_pointer
from sensorpipe_schema.names import NAME_PATTERN, NAME_RULE
from sensorpipe_schema.shape import Array, Field, FieldProblem, Problems, Record, Shape, Text

READ: Final = "read"
METRICS: Final = "metrics"
ADMIN: Final = "admin"
SCOPES: Final = (READ, METRICS, ADMIN)
"""What may be granted; each operation of the API needs one of them."""

MAX_ISSUERS: Final = 16
MAX_GRANTS: Final = 1000
MAX_FACILITIES: Final = 500
"""Largest numbers of entries of the file, and of facilities in one grant."""


class AccessError(ValueError):
    """Everything that is wrong with the access file, or with a file that it names."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Claims:
    """Where in a token its principal is; None where nothing is read."""

    subject: Pointer
    groups: Pointer | None
    scopes: Pointer | None
    facilities: Pointer | None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes tokens, and where its keys are: one of two files, or else by discovery."""

    issuer: str
    """What the claim `iss` has to be."""
    audiences: tuple[str, ...]
    """One of them has to be in the claim `aud`."""
    jwks_file: str | None
    secret_file: str | None
    discovery_url: str | None
    ca_file: str | None
    claims: Claims

    @property
    def discovery(self) -> str | None:
        """The address of the discovery document; None if the keys are in a file."""
        if self.jwks_file or self.secret_file:
            return None
        return self.discovery_url or f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Grant:
    """What the tokens of a subject or group may read."""

    issuer: str | None
    subject: str | None
    group: str | None
    scopes: tuple[str, ...]
    facilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Anonymous:
    """What everybody may read, without a token."""

    scopes: tuple[str, ...] = ()
    facilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """A checked access file."""

    issuers: tuple[Issuer, ...]
    grants: tuple[Grant, ...]
    anonymous: Anonymous

    def issuer(self, name: str) -> Issuer | None:
        """Return the issuer of this name; None if tokens of it are not accepted."""
        return next((each for each in self.issuers if each.issuer == name), None)


class _PointerShape(Shape):
    """A path to a claim."""

    def _rule(self) -> str:
        return POINTER_RULE.replace("/temperature or /data/0/value", "/groups or /realm/roles")

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        try:
            pointer = parse_pointer(value) if isinstance(value, str) else ()
        except ValueError:
            pointer = ()
        if not pointer:
            self.refuse(value, at, problems)
        return pointer

    def _write(self, value: Any) -> Any:
        return write_pointer(value)


_POINTER: Final = _PointerShape()
_TEXT: Final = Text(r"[^\x00-\x1f\x7f]{1,512}", "1 to 512 printable characters")
_FILE: Final = Text(r"[^\x00-\x1f\x7f]{1,4096}", "the path of a file")
_URL: Final = Text(
    r"https://[A-Za-z0-9._~:\[\]-]+(/[^\s?#\x00-\x1f\x7f]{0,1000})?", "an address https://HOST/PATH"
)
_SCOPE: Final = Text("|".join(SCOPES), f"one of {', '.join(SCOPES)}")
_FACILITY: Final = Text(
    rf"{NAME_PATTERN}|[a-z0-9_-]*\*[a-z0-9_*-]{{0,127}}",
    f"{NAME_RULE}, or have '*' in the place of any characters",
)
_SCOPES: Final = Array(_SCOPE, 0, len(SCOPES))
_FACILITIES: Final = Array(_FACILITY, 0, MAX_FACILITIES)
_SUBJECT: Final = ("sub",)

_CLAIMS: Final = Record(
    Claims,
    {
        "subject": Field(_POINTER, "Where the subject is.", _SUBJECT),
        "groups": Field(_POINTER, "Where the groups are; none are read if left out.", None),
        "scopes": Field(_POINTER, "Where the token itself says its scopes.", None),
        "facilities": Field(_POINTER, "Where the token itself says its facilities.", None),
    },
)
_ISSUER: Final = Record(
    Issuer,
    {
        "issuer": Field(_TEXT, "What the claim iss is; an address if keys are discovered."),
        "audiences": Field(Array(_TEXT, 1, 16), "One of them has to be in the claim aud."),
        "jwksFile": Field(_FILE, "File with the public keys.", None),
        "secretFile": Field(_FILE, "File with a secret of 32 bytes or more, for HS256.", None),
        "discoveryUrl": Field(_URL, "Address of the discovery document, if not usual.", None),
        "caFile": Field(_FILE, "File with the CA certificates to trust at discovery.", None),
        "claims": Field(_CLAIMS, "Where the principal is.", Claims(_SUBJECT, None, None, None)),
    },
)
_GRANT: Final = Record(
    Grant,
    {
        "issuer": Field(_TEXT, "Only tokens of this issuer.", None),
        "subject": Field(_TEXT, "Subjects, with '*' for any characters.", None),
        "group": Field(_TEXT, "A group.", None),
        "scopes": Field(_SCOPES, "What may be read."),
        "facilities": Field(_FACILITIES, "Names and patterns of facilities."),
    },
)
_RULES: Final = Record(
    Rules,
    {
        "issuers": Field(Array(_ISSUER, 0, MAX_ISSUERS, unique="issuer"), "Who makes tokens.", ()),
        "grants": Field(Array(_GRANT, 0, MAX_GRANTS), "Who may read what.", ()),
        "anonymous": Field(
            Record(
                Anonymous,
                {
                    "scopes": Field(_SCOPES, "What everybody may read.", ()),
                    "facilities": Field(_FACILITIES, "Facilities of these scopes.", ()),
                },
            ),
            "What everybody may read, without a token.",
            Anonymous(),
        ),
    },
)

_is_url = re.compile(_URL.pattern, re.ASCII).fullmatch


def parse(document: Any) -> Rules:
    """Return the rules of a document, or raise AccessError with everything that is wrong."""
    problems = Problems()
    rules = _RULES.read(document, "", problems)
    if not problems:
        problems += _conflicts(rules)
    if problems:
        raise AccessError([str(each) for each in problems])
    checked: Rules = rules
    return checked


def _conflicts(rules: Rules) -> Iterator[FieldProblem]:
    """Yield what is wrong between fields that are each as they should be."""
    for number, issuer in enumerate(rules.issuers):
        yield from _issuer_conflicts(issuer, f"issuers[{number}]")
    for number, grant in enumerate(rules.grants):
        yield from _grant_conflicts(grant, rules.issuers, f"grants[{number}]")
        yield from _extent_conflicts(grant, f"grants[{number}]")
    yield from _extent_conflicts(rules.anonymous, "anonymous")
    if not rules.issuers and not rules.anonymous.scopes:
        yield FieldProblem("issuers", "must have an entry, or nobody could read anything")


def _issuer_conflicts(issuer: Issuer, at: str) -> Iterator[FieldProblem]:
    if issuer.jwks_file and issuer.secret_file:
        yield FieldProblem(at, "must have one of jwksFile and secretFile, not both")
    if issuer.discovery is None:
        for name, value in (("discoveryUrl", issuer.discovery_url), ("caFile", issuer.ca_file)):
            if value:
                yield FieldProblem(f"{at}.{name}", "must not be given where the keys are in a file")
    elif not issuer.discovery_url and not _is_url(issuer.issuer):
        yield FieldProblem(
            f"{at}.issuer",
            "must be an address https://HOST/PATH, or jwksFile, secretFile or discoveryUrl must be "
            f"given; got {issuer.issuer!r}",
        )
    if (issuer.claims.scopes is None) != (issuer.claims.facilities is None):
        yield FieldProblem(f"{at}.claims", "must have both of scopes and facilities, or neither")
    for audience, times in Counter(issuer.audiences).items():
        if times > 1:
            yield FieldProblem(f"{at}.audiences", f"must not have {audience!r} twice")


def _grant_conflicts(grant: Grant, issuers: Sequence[Issuer], at: str) -> Iterator[FieldProblem]:
    if (grant.subject is None) == (grant.group is None):
        got = "none of them" if grant.subject is None else "both"
        yield FieldProblem(at, f"must have exactly one of subject and group; got {got}")
    known = [each.issuer for each in issuers]
    if grant.issuer is None and len(issuers) > 1:
        # or each issuer could make a token for any subject of another one
        yield FieldProblem(f"{at}.issuer", "must be given where there are several issuers")
    if grant.issuer is not None and grant.issuer not in known:
        yield FieldProblem(
            f"{at}.issuer", f"must be one of issuers, {', '.join(known)}; got {grant.issuer!r}"
        )
    asked = [each for each in issuers if grant.issuer in (None, each.issuer)]
    if grant.group is not None and asked and all(each.claims.groups is None for each in asked):
        yield FieldProblem(f"{at}.group", "needs an issuer with claims.groups")


def _extent_conflicts(given: Grant | Anonymous, at: str) -> Iterator[FieldProblem]:
    if given.scopes and not given.facilities:
        yield FieldProblem(f"{at}.facilities", "must have an entry; '*' stands for all facilities")
    if ADMIN in given.scopes and "*" not in given.facilities:
        yield FieldProblem(
            f"{at}.facilities",
            f"must have '*' with the scope {ADMIN}: dead letters do not tell their facility",
        )
