"""Whether definitions can be meant, all of them together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from penstock.errors import ConfigurationError
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.signals.program import Program

__all__ = ["check_definitions"]


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
    if one.level == "account":
        raise ConfigurationError(f"{place}: level: accounts are not supported yet; leave it out")
    if isinstance(one, TraitSetup) and one.kind == "sql":
        raise ConfigurationError(f"{place}: kind: queries are not supported yet")
    for notice in one.notices:
        for name in notice.destinations:
            if name not in destinations:
                raise ConfigurationError(f"{place}: destinations: there is no destination {name}")
    if one.space not in spaces:
        raise ConfigurationError(f"{place}: space: no source is in a space {one.space}")
