"""Which identifiers tell people apart, and how far each is trusted."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from penstock.errors import ConfigurationError

__all__ = ["DEFAULT_TYPES", "Identifier", "IdentityRules", "SpaceSetup"]

DEFAULT_TYPES = (
    "user_id", "email", "android.id", "android.idfa", "android.push_token", "anonymous_id",
    "ga_client_id", "ios.id", "ios.idfa", "ios.push_token",
)  # fmt: skip
"""In order of priority: the first is trusted most."""
_STRATEGIES = ("last", "first", "max", "min", "sum", "union")
Period = Literal["ever", "weekly", "monthly", "annually"]


class Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds for identifiers of one type."""

    limit: int = 5
    """Values that a profile may get in a period."""
    period: Period = "ever"
    priority: int | None = None
    """1 is trusted most; None: after those that have one, in alphabetical order."""
    enabled: bool = True
    blocked: tuple[str, ...] = ()
    """More values that identify nobody; between slashes a regular expression."""
    key: str = ""
    """Of a custom identifier: the trait or property that it is in, camelCase or snake_case."""


class IdentityRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the events of a space are resolved to people."""

    identifiers: dict[str, Identifier] = {}
    """By type: what differs from the default, and custom ones."""
    merges: int = 100
    """Most merges into one profile."""
    mappings: int = 1_000
    """Most identifiers of one profile."""


class SpaceSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A space: sources whose events are resolved together, and what holds for its people."""

    slug: str
    name: str = ""
    identity: IdentityRules = msgspec.field(default_factory=IdentityRules)
    trait_strategies: dict[str, str] = {}
    """How values of a custom trait become one, by name: last (the default), first, max, min, sum
    or union."""

    def check(self) -> None:
        """Raise ConfigurationError for what can't be meant."""
        for kind, one in self.identity.identifiers.items():
            place = f"identity.identifiers.{kind}"
            if not re.fullmatch(r"[a-z][a-z0-9_.]{0,62}", kind):
                raise ConfigurationError(f"{place}: a type is lower case, such as loyalty_id")
            if one.limit < 1:
                raise ConfigurationError(f"{place}.limit must be at least 1; to take no such "
                                         "identifier, write enabled: false")  # fmt: skip
            for value in one.blocked:
                _check_pattern(value, place)
        for name, strategy in self.trait_strategies.items():
            if strategy not in _STRATEGIES:
                known = ", ".join(_STRATEGIES)
                raise ConfigurationError(f"trait_strategies.{name} must be one of {known}")


def _check_pattern(value: str, place: str) -> None:
    if len(value) > 2 and value.startswith("/") and value.endswith("/"):
        try:
            re.compile(value[1:-1])
        except re.error as error:
            raise ConfigurationError(f"{place}.blocked: {value} is no pattern: {error}") from error
