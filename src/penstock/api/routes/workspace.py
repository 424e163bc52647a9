"""The workspace as a whole, for `penstock apply` and `penstock export`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from litestar.params import JSONBody
from msgspec import Meta

from penstock.api.access import Call, caller_of
from penstock.api.errors import ApiError
from penstock.api.routes.destinations import NewDestination, NewFunction, as_function, as_setup
from penstock.api.routes.sources import NewSource, Slug, SourceBody, as_body, as_source
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.destinations.described import DestinationBody, destination_body
from penstock.destinations.model import FunctionSetup
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.warehouses.selective import SourceSync, WarehouseSetup
from penstock.workspace.planning import Contents

__all__ = ["HANDLERS"]

_TAG = "workspace"
_SECTIONS = (
    "sources", "destinations", "functions", "warehouses", "spaces", "traits", "audiences",
)  # fmt: skip


class _Slugged(Protocol):
    @property
    def slug(self) -> str: ...


class WorkspaceBody(msgspec.Struct):
    """Everything that is configured."""

    sources: list[SourceBody]
    destinations: list[DestinationBody]
    """Their secrets masked; so are those of functions."""
    functions: list[FunctionSetup]
    warehouses: list[WarehouseSetup]
    """What they take."""
    spaces: list[SpaceSetup]
    traits: list[TraitSetup]
    audiences: list[AudienceSetup]


class NewWarehouse(msgspec.Struct, forbid_unknown_fields=True):
    """What a warehouse is to take."""

    slug: Slug
    sources: Annotated[dict[str, SourceSync], Meta(max_length=1000)] = {}


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be; resources that are not named stay."""

    sources: Annotated[list[NewSource], Meta(max_length=1000)] = []
    destinations: Annotated[list[NewDestination], Meta(max_length=1000)] = []
    functions: Annotated[list[NewFunction], Meta(max_length=1000)] = []
    warehouses: Annotated[list[NewWarehouse], Meta(max_length=100)] = []
    spaces: Annotated[list[SpaceSetup], Meta(max_length=100)] = []
    traits: Annotated[list[TraitSetup], Meta(max_length=1000)] = []
    audiences: Annotated[list[AudienceSetup], Meta(max_length=1000)] = []
    dry_run: bool = False
    """Only plan."""


class ChangeBody(msgspec.Struct):
    """One difference between what is wanted and what is."""

    action: str
    """create, update or keep."""
    kind: str
    slug: str
    detail: str


class Applied(msgspec.Struct):
    """What was, or would be, changed."""

    changes: list[ChangeBody]
    sources: list[SourceBody]
    """Those created or updated, as they are then."""


@route("GET", "/workspace", "sources:write", tag=_TAG)
def export_workspace(request: Call, services: Given) -> WorkspaceBody:
    """Get all that is configured, write keys included, secrets of tools masked.

    Destinations and functions are there for those who may read them.
    """
    caller = caller_of(request)
    found = services.workspace.contents()
    seen = caller.may("destinations:read")
    return WorkspaceBody(
        [as_body(source, caller) for source in found.sources],
        [destination_body(each) for each in found.destinations] if seen else [],
        list(found.functions) if seen else [],
        list(found.warehouses),
        list(found.spaces),
        list(found.traits),
        list(found.audiences),
    )


@route("POST", "/workspace/apply", "sources:write", tag=_TAG)
def apply_workspace(request: Call, services: Given, data: JSONBody[Wanted]) -> Applied:
    """Make the workspace what the body says, all of it or, when a rule is broken, nothing.

    Destinations and functions need the scope destinations:write as well.
    """
    caller = caller_of(request)
    if (data.destinations or data.functions) and not caller.may("destinations:write"):
        raise ApiError("forbidden", "destinations and functions need the scope destinations:write")
    for name in _SECTIONS:
        _check_named_once(name, getattr(data, name))
    wanted = Contents(
        tuple(_checked(each) for each in data.sources),
        tuple(as_setup(each.slug, each) for each in data.destinations),
        tuple(as_function(each.slug, each) for each in data.functions),
        tuple(WarehouseSetup(each.slug, each.sources) for each in data.warehouses),
        tuple(data.spaces),
        tuple(data.traits),
        tuple(data.audiences),
    )
    changes, stored = services.workspace.apply(wanted, caller.actor, dry_run=data.dry_run)
    return Applied(
        [ChangeBody(each.action, each.kind, each.slug, each.detail) for each in changes],
        [as_body(source, caller) for source in stored],
    )


def _checked(wanted: NewSource) -> Source:
    try:
        return as_source(wanted.slug, wanted)
    except ConfigurationError as error:
        raise ConfigurationError(f"sources.{wanted.slug}: {error}") from error


def _check_named_once(section: str, wanted: Sequence[_Slugged]) -> None:
    seen: set[str] = set()
    for each in wanted:
        if each.slug in seen:
            raise ConfigurationError(f"{section}.{each.slug} stands twice")
        seen.add(each.slug)


HANDLERS = [export_workspace, apply_workspace]
