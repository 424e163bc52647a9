"""What applying a workspace file would change."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.events.model import Source
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.warehouses.selective import WarehouseSetup
from penstock.workspace.credentials import new_write_key

__all__ = ["Change", "Contents", "plan"]


@dataclass(frozen=True)
class Change:
    """One difference between the file and the workspace."""

    action: str
    """create, update or keep."""
    kind: str
    """The section of the file, such as ``sources``."""
    slug: str
    detail: str = ""

    def __str__(self) -> str:
        mark = {"create": "+", "update": "~", "keep": "="}[self.action]
        return f"{mark} {self.kind}.{self.slug} {self.detail}".rstrip()


class Contents(msgspec.Struct, frozen=True):
    """Resources of a workspace, or of a file."""

    sources: tuple[Source, ...] = ()
    destinations: tuple[DestinationSetup, ...] = ()
    functions: tuple[FunctionSetup, ...] = ()
    warehouses: tuple[WarehouseSetup, ...] = ()
    spaces: tuple[SpaceSetup, ...] = ()
    traits: tuple[TraitSetup, ...] = ()
    audiences: tuple[AudienceSetup, ...] = ()


def plan(current: list[Source], wanted: list[Source]) -> tuple[list[Change], list[Source]]:
    """What applying would do, and the sources to store. Sources not in the file stay.

    A source without write keys keeps those it has, or gets a new one.
    """
    known = {source.slug: source for source in current}
    changes, result = [], []
    for source in wanted:
        before = known.get(source.slug)
        keys = source.write_keys or (before.write_keys if before else (new_write_key(),))
        after = msgspec.structs.replace(source, write_keys=tuple(keys))
        if before is None:
            changes.append(Change("create", "sources", source.slug))
        elif before != after:
            fields = [
                name
                for name in Source.__struct_fields__
                if getattr(before, name) != getattr(after, name)
            ]
            changes.append(Change("update", "sources", source.slug, ", ".join(fields)))
        else:
            changes.append(Change("keep", "sources", source.slug))
            continue
        result.append(after)
    return changes, result
