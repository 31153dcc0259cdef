"""The access file: issuers of tokens and grants, with everything that is wrong with it. Pure.

It is shaped like the AuthenticationConfiguration of Kubernetes; docs/security.md describes it. The
tables below are the rules.

An issuer may be in a file of its own, as its keys may: `parse` leaves it empty, and `with_issuers`
puts in what the files hold.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

    name: str | None
    issuer: str
    """What the claim `iss` has to be; empty until the text of `issuer_file` is put in."""
    issuer_file: str | None
    audiences: tuple[str, ...]
    """One of them has to be in the claim `aud`."""
    jwks_file: str | None
    secret_file: str | None
    discovery_url: str | None
    ca_file: str | None
    claims: Claims

    @property
    def label(self) -> str:
        """How grants name it."""
        return self.name or self.issuer

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
    """Label of the issuer; None if there is one issuer at most."""
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

    def issuer(self, claimed: str) -> Issuer | None:
        """Return the issuer of tokens with this claim `iss`; None if they are not accepted."""
        return next((each for each in self.issuers if each.issuer == claimed), None)


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
        "name": Field(_TEXT, "How grants name it, if not by the issuer itself.", None),
        "issuer": Field(_TEXT, "What the claim iss is; an address if keys are discovered.", ""),
        "issuerFile": Field(_FILE, "File with what the claim iss is.", None),
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
_is_text = re.compile(_TEXT.pattern).fullmatch


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


def issuer_text(content: bytes) -> str:
    """Return the issuer that a file holds, without white space around it; raise ValueError."""
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"must be UTF-8: {error}") from error
    if not _is_text(text):
        raise ValueError(f"must hold one line of {_TEXT.says}; got {text[:100]!r}")
    return text


def with_issuers(rules: Rules, texts: Mapping[int, str]) -> Rules:
    """Return rules with the issuers of files, by number; raise AccessError with what is wrong."""
    issuers = tuple(
        replace(each, issuer=texts.get(number, each.issuer))
        for number, each in enumerate(rules.issuers)
    )
    problems: list[str] = []
    first: dict[str, int] = {}
    for number, issuer in enumerate(issuers):
        at = f"issuers[{number}].{'issuerFile' if number in texts else 'issuer'}"
        if first.setdefault(issuer.issuer, number) != number:
            other = f"issuers[{first[issuer.issuer]}]"
            problems.append(f"{at}: must be unique; {issuer.issuer!r} is also {other}")
        if number in texts and (found := _no_address(issuer, at)):
            problems.append(str(found))
    if problems:
        raise AccessError(problems)
    return replace(rules, issuers=issuers)


def _conflicts(rules: Rules) -> Iterator[FieldProblem]:
    """Yield what is wrong between fields that are each as they should be."""
    for number, issuer in enumerate(rules.issuers):
        yield from _issuer_conflicts(issuer, f"issuers[{number}]")
    yield from _name_conflicts(rules)
    for number, grant in enumerate(rules.grants):
        yield from _grant_conflicts(grant, rules.issuers, f"grants[{number}]")
        yield from _extent_conflicts(grant, f"grants[{number}]")
    yield from _extent_conflicts(rules.anonymous, "anonymous")
    if not rules.issuers and not rules.anonymous.scopes:
        yield FieldProblem("issuers", "must have an entry, or nobody could read anything")


def _name_conflicts(rules: Rules) -> Iterator[FieldProblem]:
    """Yield what grants could not tell apart, or not name."""
    is_named = len(rules.issuers) > 1 or any(each.issuer for each in rules.grants)
    first: dict[str, int] = {}
    for number, issuer in enumerate(rules.issuers):
        at = f"issuers[{number}].{'name' if issuer.name or issuer.issuer_file else 'issuer'}"
        if not issuer.label:
            if is_named:
                text = "must be given with issuerFile where grants have to name the issuer"
                yield FieldProblem(at, text)
        elif first.setdefault(issuer.label, number) != number:
            other = f"issuers[{first[issuer.label]}]"
            yield FieldProblem(at, f"must be unique; {issuer.label!r} is also {other}")


def _issuer_conflicts(issuer: Issuer, at: str) -> Iterator[FieldProblem]:
    if bool(issuer.issuer) == bool(issuer.issuer_file):
        got = "both" if issuer.issuer else "none of them"
        yield FieldProblem(at, f"must have exactly one of issuer and issuerFile; got {got}")
    if issuer.jwks_file and issuer.secret_file:
        yield FieldProblem(at, "must have one of jwksFile and secretFile, not both")
    if issuer.discovery is None:
        for name, value in (("discoveryUrl", issuer.discovery_url), ("caFile", issuer.ca_file)):
            if value:
                yield FieldProblem(f"{at}.{name}", "must not be given where the keys are in a file")
    elif issuer.issuer and (found := _no_address(issuer, f"{at}.issuer")):
        yield found
    if (issuer.claims.scopes is None) != (issuer.claims.facilities is None):
        yield FieldProblem(f"{at}.claims", "must have both of scopes and facilities, or neither")
    for audience, times in Counter(issuer.audiences).items():
        if times > 1:
            yield FieldProblem(f"{at}.audiences", f"must not have {audience!r} twice")


def _no_address(issuer: Issuer, at: str) -> FieldProblem | None:
    """Return what is wrong with an issuer whose keys nothing but itself could lead to."""
    if issuer.discovery is None or issuer.discovery_url or _is_url(issuer.issuer):
        return None
    return FieldProblem(
        at,
        "must be an address https://HOST/PATH, or jwksFile, secretFile or discoveryUrl must be "
        f"given; got {issuer.issuer!r}",
    )


def _grant_conflicts(grant: Grant, issuers: Sequence[Issuer], at: str) -> Iterator[FieldProblem]:
    if (grant.subject is None) == (grant.group is None):
        got = "none of them" if grant.subject is None else "both"
        yield FieldProblem(at, f"must have exactly one of subject and group; got {got}")
    known = [each.label for each in issuers if each.label]
    if grant.issuer is None and len(issuers) > 1:
        # or each issuer could make a token for any subject of another one
        yield FieldProblem(f"{at}.issuer", "must be given where there are several issuers")
    if grant.issuer is not None and known and grant.issuer not in known:
        yield FieldProblem(
            f"{at}.issuer", f"must be one of issuers, {', '.join(known)}; got {grant.issuer!r}"
        )
    asked = [each for each in issuers if grant.issuer in (None, each.label)]
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
