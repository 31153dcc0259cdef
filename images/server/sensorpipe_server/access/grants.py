"""What a caller may read: scopes, and facilities within each scope. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_schema.patterns import matcher

from sensorpipe_server.access.rules import ADMIN, SCOPES, Grant, Rules

_SHOWN: Final = 10
"""How many facilities a text names."""


class Facilities:
    """Facilities by names and patterns; none of either is no facility at all."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(sorted(set(patterns)))
        self.is_all = "*" in self.patterns
        """Whether every facility is one of them, also those that are still to come."""
        self.has: Callable[[str], bool] = matcher(self.patterns)
        """Whether a facility is one of them."""

    def __str__(self) -> str:
        more = len(self.patterns) - _SHOWN
        names = ", ".join(self.patterns[:_SHOWN]) or "none"
        return f"{names} and {more} more" if more > 0 else names


ALL_FACILITIES: Final = Facilities("*")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a token, as its issuer says; checked."""

    issuer: str
    subject: str
    expires_at: float
    """When the token is no longer accepted, in unix seconds."""
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    """Scopes that the token itself grants, if its issuer may say so."""
    facilities: tuple[str, ...] = ()
    """Facilities of these scopes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what of the operation it may read."""

    facilities: Facilities = ALL_FACILITIES
    name: str = ""
    """Differs between principals; empty without a token."""
    expires_at: float | None = None
    """When its token is no longer accepted, in unix seconds."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What somebody may read: by scope, the facilities."""

    by_scope: Mapping[str, Facilities] = field(default_factory=dict)
    principal: Principal | None = None
    """None without a token."""

    def __str__(self) -> str:
        found = "; ".join(f"{name} for {each}" for name, each in self.by_scope.items())
        return found or "nothing"

    def caller(self, scope: str) -> Caller | None:
        """Return what may be read with a scope; None if the scope is not granted."""
        facilities = self.by_scope.get(scope)
        if facilities is None:
            return None
        who = self.principal
        if who is None:
            return Caller(facilities)
        return Caller(facilities, f"{who.issuer}\n{who.subject}", who.expires_at)


class Grants:
    """What the rules grant; made once, since it prepares all patterns."""

    def __init__(self, rules: Rules) -> None:
        self._anonymous = rules.anonymous
        issuers = {each.label: each.issuer for each in rules.issuers}
        self._grants = [
            (each, _recipients(each, issuers.get(each.issuer or ""))) for each in rules.grants
        ]

    def permissions(self, principal: Principal | None) -> Permissions:
        """Return what a principal may read, or everybody without a token.

        A token grants at least what everybody has without one.
        """
        given: list[tuple[Iterable[str], Iterable[str]]] = [
            (self._anonymous.scopes, self._anonymous.facilities)
        ]
        if principal is not None:
            given.append((principal.scopes, principal.facilities))
            given += [
                (each.scopes, each.facilities) for each, is_for in self._grants if is_for(principal)
            ]
        found: dict[str, set[str]] = {}
        for scopes, facilities in given:
            for scope in scopes:
                found.setdefault(scope, set()).update(facilities)
        kept = {name: Facilities(found[name]) for name in SCOPES if found.get(name)}
        if ADMIN in kept and not kept[ADMIN].is_all:  # what it is for does not tell its facility
            del kept[ADMIN]
        return Permissions(kept, principal)


def _recipients(grant: Grant, issuer: str | None) -> Callable[[Principal], bool]:
    """Return a function: whether a grant is for a principal; None is any issuer."""
    subject, group = grant.subject, grant.group
    if subject is not None:
        is_subject = matcher([subject])
        return lambda who: issuer in (None, who.issuer) and is_subject(who.subject)
    return lambda who: issuer in (None, who.issuer) and group in who.groups
