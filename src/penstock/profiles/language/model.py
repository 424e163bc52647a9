"""What an audience's condition says, whichever way it was written.

Text, the tree of a workspace file and the body of a request all become these structs; the tree is
these structs as mappings, with ``is`` naming the kind.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Aggregate",
    "All",
    "AnyOf",
    "Condition",
    "Count",
    "CountOperator",
    "Dates",
    "Did",
    "Event",
    "InAudience",
    "Interval",
    "Not",
    "Operator",
    "Test",
    "Tests",
    "Trait",
    "Users",
    "Window",
    "Within",
]

Operator = Literal[
    "=", "!=", ">", ">=", "<", "<=", "contains", "does not contain", "starts with", "ends with",
    "exists", "does not exist", "one of", "not one of", "contains one of", "before", "after",
    "within last", "within next", "before last", "after next",
]  # fmt: skip
CountOperator = Literal["at least", "at most", "exactly", "more than", "less than"]
Number = int | float


class Test(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="test",
    tag_field="is",
):
    """A comparison of one property of an event."""

    property: str
    op: Operator
    value: Any = None
    """Text, number, true, false, null, a list of these; an ISO date; or seconds with ``last`` and
    ``next``."""


class Tests(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="tests",
    tag_field="is",
):
    """Several comparisons together."""

    match: Literal["all", "any", "none"]
    of: tuple[Test | Tests, ...]


class Within(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="within",
    tag_field="is",
):
    """The last seconds up to now, both ends included."""

    seconds: int


class Interval(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="ago",
    tag_field="is",
):
    """From so many seconds ago to so many, both ends included."""

    nearest: int
    farthest: int


class Dates(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="dates",
    tag_field="is",
):
    """From one moment to another, both included; a date as the end means all of that day (UTC)."""

    start: str
    end: str


Window = Within | Interval | Dates


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Events that are looked for."""

    name: str
    where: Test | Tests | None = None


class Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often something has to have happened."""

    op: CountOperator = "at least"
    times: int = 1


class Did(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="did",
    tag_field="is",
):
    """An event has happened so often."""

    event: Event
    count: Count = Count()
    window: Window | None = None
    """None: ever."""
    after: Event | None = None
    """Only those that happened later than the last of these; none, where none of these has."""


class Aggregate(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="aggregate",
    tag_field="is",
):
    """A figure over a property of events compares so. Values that are no numbers do not count."""

    function: Literal["sum", "average", "min", "max"]
    event: Event
    property: str
    op: Literal["=", "!=", ">", ">=", "<", "<="]
    value: Number
    window: Window | None = None


class Trait(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="trait",
    tag_field="is",
):
    """A trait, custom or computed, compares so."""

    name: str
    op: Operator
    value: Any = None


class InAudience(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="in",
    tag_field="is",
):
    """Is a member of another audience."""

    audience: str


class All(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="all",
    tag_field="is",
):
    """Every one of these holds."""

    of: tuple[Condition, ...]


class AnyOf(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="any",
    tag_field="is",
):
    """At least one of these holds."""

    of: tuple[Condition, ...]


class Not(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="not",
    tag_field="is",
):
    """This does not hold."""

    of: Condition


class Users(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="users",
    tag_field="is",
):
    """Of an account: it holds for any, all or none of its users."""

    quantifier: Literal["any", "all", "none"]
    of: Condition


Condition = Did | Aggregate | Trait | InAudience | All | AnyOf | Not | Users
