"""Whether definitions can be meant, all of them together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from penstock.errors import ConfigurationError
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.signals.program import Program
from penstock.profiles.signals.traits import window_of

__all__ = ["check_definitions"]

_SHORTEST_S = timedelta(hours=1).total_seconds()


def check_definitions(
    audiences: Mapping[str, AudienceSetup],
    traits: Mapping[str, TraitSetup],
    *,
    destinations: Collection[str],
    spaces: Iterable[str],
) -> None:
    """Raise ConfigurationError with the place of what is wrong, such as ``audiences.loyal``."""
    known = set(spaces)
    for section, every in (("audiences", audiences), ("traits", traits)):
        for slug, one in every.items():
            _check_reach(f"{section}.{slug}", one, destinations, known)
    for slug, trait in traits.items():
        _check_query(f"traits.{slug}", trait)
    for space in known:
        Program(
            {slug: one for slug, one in traits.items() if one.space == space},
            {slug: one for slug, one in audiences.items() if one.space == space},
        )


def _check_reach(
    place: str,
    one: AudienceSetup | TraitSetup,
    destinations: Collection[str],
    spaces: Collection[str],
) -> None:
    for notice in one.notices:
        for name in notice.destinations:
            if name not in destinations:
                raise ConfigurationError(f"{place}: destinations: there is no destination {name}")
    if one.space not in spaces:
        raise ConfigurationError(f"{place}: space: no source is in a space {one.space}")


def _check_query(place: str, trait: TraitSetup) -> None:
    if trait.kind != "sql":
        return
    if not trait.sql.strip():
        raise ConfigurationError(f"{place}: a trait of kind sql needs `sql`")
    every = window_of(trait.every)
    if every is None or every < _SHORTEST_S:
        raise ConfigurationError(f"{place}: every: at least 1 hour")
