"""Which Secrets a release is to have: what the chart tells the Job that makes its passwords."""

from dataclasses import dataclass
from typing import Self

import msgspec


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value around a password, such as a URL that contains it."""

    before: str
    secret: str
    """Name of the Secret that has the password, one of the plan's in the release's namespace."""
    key: str
    after: str


class WantedSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Secret, and what its keys are to hold."""

    namespace: str
    name: str
    labels: dict[str, str]
    made: tuple[str, ...] = ()
    """Keys with a random value, made once."""
    inherited: dict[str, str] = {}
    """Values for some of these where the Secret is there already without the key: what a chart
    that did not have the key yet used instead."""
    texts: dict[str, Text] = {}
    """Keys whose values follow a password."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    release: str
    namespace: str
    token: str
    secrets: tuple[WantedSecret, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The Secrets of one release, in an order in which each text follows its password."""

    release: str
    namespace: str
    token: str
    """What the chart takes for the version of a password that is made now."""
    secrets: tuple[WantedSecret, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the plan from JSON; ValueError says what is wrong."""
        document = msgspec.json.decode(text, type=_Document)
        plan = cls(document.release, document.namespace, document.token, document.secrets)
        plan._check_order()
        return plan

    def _check_order(self) -> None:
        made: set[tuple[str, str]] = set()
        for secret in self.secrets:
            if secret.namespace == self.namespace:
                made.update((secret.name, key) for key in secret.made)
            for key, text in secret.texts.items():
                if (text.secret, text.key) not in made:
                    raise ValueError(
                        f"{secret.name}: {key} needs {text.key} of {text.secret}, "
                        "which no Secret before it has"
                    )
