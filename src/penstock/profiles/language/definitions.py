"""Audiences and computed traits as a workspace has them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["AudienceSetup", "Notice", "Sending", "TraitSetup", "notices_of"]

Mode = Literal["identify", "track"]
Kind = Literal[
    "count", "sum", "average", "min", "max", "most_frequent", "first", "last", "unique_list",
    "unique_count", "sql",
]  # fmt: skip


class Sending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one destination learns of changes."""

    destination: str
    """Slug."""
    mode: Mode = "identify"
    event: str = ""
    """Name of the track event; empty: the default one."""
    traits: tuple[str, ...] = ()
    """Further traits to send along."""


class Notice(msgspec.Struct, frozen=True):
    """One way of telling a change, for all destinations that want it so."""

    destinations: tuple[str, ...] = ()
    mode: Mode = "identify"
    event: str = ""
    traits: tuple[str, ...] = ()


class AudienceSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """People for whom something holds."""

    slug: str
    when: str | dict[str, Any]
    """The condition, as text or as a tree."""
    name: str = ""
    description: str = ""
    level: Literal["user", "account"] = "user"
    include_anonymous: bool = False
    """Whether somebody known by a browser or device alone can be a member."""
    include_history: bool = True
    """Whether events from before it was created count."""
    destinations: tuple[str | Sending, ...] = ()
    enabled: bool = True
    space: str = "default"

    @property
    def notices(self) -> tuple[Notice, ...]:
        """How changes are told; with no destinations they stand in the warehouse alone."""
        return notices_of(self.destinations) or (Notice(),)


class TraitSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A trait that is computed from events, or by a query over the warehouse."""

    slug: str
    kind: Kind
    name: str = ""
    description: str = ""
    event: str = ""
    where: str | dict[str, Any] = ""
    of: str = msgspec.field(name="property", default="")
    """The property that is summed up, listed ..., without ``properties.`` before it."""
    within: str = ""
    """A window such as ``30 days``; empty: all events."""
    sql: str = ""
    every: str = "12 hours"
    """How often a query is run."""
    level: Literal["user", "account"] = "user"
    include_history: bool = True
    destinations: tuple[str | Sending, ...] = ()
    enabled: bool = True
    space: str = "default"

    @property
    def notices(self) -> tuple[Notice, ...]:
        """How changes are told; with no destinations they are not."""
        return notices_of(self.destinations)


def notices_of(destinations: tuple[str | Sending, ...]) -> tuple[Notice, ...]:
    """Destinations that want to be told in the same way, together."""
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for one in destinations:
        wanted = Sending(one) if isinstance(one, str) else one
        grouped.setdefault((wanted.mode, wanted.event, wanted.traits), []).append(
            wanted.destination
        )
    return tuple(Notice(tuple(slugs), *way) for way, slugs in grouped.items())
