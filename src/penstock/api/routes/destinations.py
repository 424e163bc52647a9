"""Destinations, the tools they can be of, and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar.params import JSONBody, Parameter
from msgspec import UNSET, Meta, UnsetType

from penstock.api.access import Call, caller_of
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.destinations.described import (
    DestinationBody,
    ToolBody,
    ToolSummary,
    destination_body,
    tool_body,
    tool_summary,
)
from penstock.destinations.model import (
    DestinationSetup,
    Filter,
    FunctionSetup,
    MappingSetup,
    Retrying,
)
from penstock.destinations.registry import definition, definitions
from penstock.workspace.destination_rules import MOST_FILTERS, MOST_MAPPINGS
from penstock.workspace.rules import SLUG

__all__ = [
    "HANDLERS",
    "NewDestination",
    "NewFunction",
    "PathSlug",
    "as_function",
    "as_setup",
]

Name = Annotated[str, Meta(max_length=200)]
Slug = Annotated[str, Meta(pattern=f"^{SLUG.pattern}$")]
ToolSlug = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
Slugs = Annotated[list[Slug], Meta(max_length=1000)]
Texts = Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=1000)]
Filters = Annotated[list[Filter], Meta(max_length=MOST_FILTERS)]
Mappings = Annotated[list[MappingSetup], Meta(max_length=MOST_MAPPINGS)]
PathSlug = Annotated[str, Parameter(description="Slug of the destination.")]
_TAG = "destinations"
_READ = "destinations:read"
_WRITE = "destinations:write"


class DestinationFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a destination is, apart from its slug."""

    type: ToolSlug
    """Slug of a tool; GET /catalog lists them."""
    name: Name = ""
    enabled: bool = True
    sources: Slugs | None = None
    """Null: all sources."""
    settings: dict[str, Any] = {}
    """By the tool's keys; ******** in the place of a secret means the stored one."""
    filters: Filters = []
    mappings: Mappings | None = None
    """Null: the tool's presets."""
    consent: Texts = []
    delivery: Retrying | None = None
    functions: Slugs = []


class NewDestination(DestinationFields, forbid_unknown_fields=True, kw_only=True):
    """A destination to create."""

    slug: Slug


class DestinationPatch(msgspec.Struct, forbid_unknown_fields=True):
    """The fields to change."""

    name: Name | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    sources: Slugs | UnsetType | None = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    """Only these change; null takes a setting away."""
    filters: Filters | UnsetType = UNSET
    mappings: Mappings | UnsetType | None = UNSET
    consent: Texts | UnsetType = UNSET
    delivery: Retrying | UnsetType = UNSET
    functions: Slugs | UnsetType = UNSET


class DestinationList(msgspec.Struct):
    """All destinations, by slug."""

    items: list[DestinationBody]


class FunctionFields(msgspec.Struct, forbid_unknown_fields=True):
    """What a function is, apart from its slug."""

    file: Annotated[str, Meta(min_length=1, max_length=200)]
    """A Python file in the folder functions."""
    sources: Slugs = []
    settings: dict[str, Any] = {}
    """All but numbers and truths are secret; ******** means the stored one."""
    enabled: bool = True
    timeout: float = 5.0
    memory: int = 128 * 1024 * 1024
    network: Texts = []


class NewFunction(FunctionFields, forbid_unknown_fields=True, kw_only=True):
    """A function to create or replace."""

    slug: Slug


class FunctionList(msgspec.Struct):
    """All functions, by slug."""

    items: list[FunctionSetup]


class ToolList(msgspec.Struct):
    """All tools, by slug."""

    items: list[ToolSummary]


def as_setup(slug: str, fields: DestinationFields) -> DestinationSetup:
    """A destination as it would be stored, not yet checked."""
    given = {name: getattr(fields, name) for name in DestinationFields.__struct_fields__}
    given["delivery"] = fields.delivery or Retrying()
    return DestinationSetup(slug=slug, **_tuples(given))


def as_function(slug: str, fields: FunctionFields) -> FunctionSetup:
    """A function as it would be stored, not yet checked."""
    given = {name: getattr(fields, name) for name in FunctionFields.__struct_fields__}
    return FunctionSetup(slug=slug, **_tuples(given))


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }


@route("GET", "/catalog", _READ, tag=_TAG)
def list_tools(services: Given) -> ToolList:
    """List the tools that a destination can be of."""
    found = definitions(services.settings.destinations_folder)
    return ToolList([tool_summary(tool) for tool in found.values()])


@route("GET", "/catalog/{tool:str}", _READ, tag=_TAG, errors=[404])
def get_tool(
    services: Given, tool: Annotated[str, Parameter(description="Slug of the tool.")]
) -> ToolBody:
    """Get one tool, with its settings, actions and fields."""
    return tool_body(definition(tool, services.settings.destinations_folder))


@route("GET", "/destinations", _READ, tag=_TAG)
def list_destinations(services: Given) -> DestinationList:
    """List all destinations, their secrets masked."""
    found = services.workspace.destinations(secrets=False)
    return DestinationList([destination_body(each) for each in found])


@route("POST", "/destinations", _WRITE, tag=_TAG, status=201, errors=[409])
def create_destination(
    request: Call, services: Given, data: JSONBody[NewDestination]
) -> DestinationBody:
    """Create a destination. Events that come from now on are sent to it within two seconds."""
    setup = as_setup(data.slug, data)
    services.workspace.add_destination(setup, caller_of(request).actor)
    return destination_body(services.workspace.destination(data.slug, secrets=False))


@route("GET", "/destinations/{slug:str}", _READ, tag=_TAG, errors=[404])
def get_destination(services: Given, slug: PathSlug) -> DestinationBody:
    """Get one destination, its secrets masked."""
    return destination_body(services.workspace.destination(slug, secrets=False))


@route("PUT", "/destinations/{slug:str}", _WRITE, tag=_TAG, errors=[404])
def replace_destination(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[DestinationFields]
) -> DestinationBody:
    """Replace a destination; fields that are absent take their defaults."""
    return _changed(request, services, slug, lambda _: as_setup(slug, data))


@route("PATCH", "/destinations/{slug:str}", _WRITE, tag=_TAG, errors=[404])
def change_destination(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[DestinationPatch]
) -> DestinationBody:
    """Change some fields of a destination, and some of its settings."""
    given = {
        name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET
    }

    def patched(before: DestinationSetup) -> DestinationSetup:
        fields = _tuples(given)
        if "settings" in fields:
            merged = {**before.settings, **fields["settings"]}
            fields["settings"] = {key: v for key, v in merged.items() if v is not None}
        return msgspec.structs.replace(before, **fields)

    return _changed(request, services, slug, patched)


@route("DELETE", "/destinations/{slug:str}", _WRITE, tag=_TAG, status=204, errors=[404])
def delete_destination(request: Call, services: Given, slug: PathSlug) -> None:
    """Delete a destination. What waits for it is not sent."""
    services.workspace.delete_destination(slug, caller_of(request).actor)


@route("GET", "/functions", _READ, tag=_TAG)
def list_functions(services: Given) -> FunctionList:
    """List all functions, their secrets masked."""
    return FunctionList(services.workspace.functions(secrets=False))


@route("GET", "/functions/{slug:str}", _READ, tag=_TAG, errors=[404])
def get_function(
    services: Given, slug: Annotated[str, Parameter(description="Slug of the function.")]
) -> FunctionSetup:
    """Get one function, its secrets masked."""
    return services.workspace.function(slug, secrets=False)


@route("PUT", "/functions/{slug:str}", _WRITE, tag=_TAG)
def put_function(
    request: Call,
    services: Given,
    slug: Annotated[str, Parameter(description="Slug of the function.")],
    data: JSONBody[FunctionFields],
) -> FunctionSetup:
    """Create or replace a function; its file is put into the folder functions by other means."""
    services.workspace.put_functions([as_function(slug, data)], caller_of(request).actor)
    return services.workspace.function(slug, secrets=False)


@route("DELETE", "/functions/{slug:str}", _WRITE, tag=_TAG, status=204, errors=[404])
def delete_function(
    request: Call,
    services: Given,
    slug: Annotated[str, Parameter(description="Slug of the function.")],
) -> None:
    """Delete a function that no destination uses. Its file stays."""
    services.workspace.delete_function(slug, caller_of(request).actor)


def _changed(
    request: Call,
    services: Given,
    slug: str,
    change: Callable[[DestinationSetup], DestinationSetup],
) -> DestinationBody:
    actor = caller_of(request).actor
    return destination_body(services.workspace.change_destination(slug, change, actor))


HANDLERS = [
    list_tools, get_tool, list_destinations, create_destination, get_destination,
    replace_destination, change_destination, delete_destination, list_functions, get_function,
    put_function, delete_function,
]  # fmt: skip
