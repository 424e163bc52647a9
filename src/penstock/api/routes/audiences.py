"""Audiences, computed traits and spaces; and people, with why they are where they are."""

from __future__ import annotations

import time
from typing import Annotated, Any, TypeVar

import msgspec
from litestar.params import JSONBody, Parameter
from msgspec import Meta

from penstock.api.access import Call, caller_of
from penstock.api.errors import ApiError
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.errors import AlreadyExists, ConfigurationError, NotFound
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.reading.described import (
    AudienceShown,
    MemberPage,
    PreviewShown,
    ProfileShown,
    show_audience,
    show_members,
    show_preview,
    show_profile,
)
from penstock.workspace.planning import Contents
from penstock.workspace.rules import SLUG

__all__ = ["HANDLERS"]

_TAG = "profiles"
_READ = "profiles:read"
_WRITE = "profiles:write"
_PAGE = 100
Slug = Annotated[str, Parameter(description="Slug.")]
Body = Annotated[dict[str, Any], Meta(max_length=100)]
"""The fields as the workspace file has them."""
_T = TypeVar("_T", AudienceSetup, TraitSetup, SpaceSetup)


class Definition(msgspec.Struct):
    """An audience, trait or space: its fields, as the workspace file has them, and its slug."""

    slug: str
    fields: dict[str, Any]


class DefinitionList(msgspec.Struct):
    """By slug."""

    items: list[Definition]


class NewDefinition(msgspec.Struct, forbid_unknown_fields=True):
    """An audience, trait or space to create."""

    slug: Annotated[str, Meta(pattern=f"^{SLUG.pattern}$")]
    fields: Body


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """A condition to try."""

    when: Annotated[str, Meta(max_length=100_000)] | dict[str, Any]
    """As text or as a tree."""
    include_anonymous: bool = False
    include_history: bool = True
    space: Annotated[str, Meta(max_length=63)] = "default"


def _shown(setup: AudienceSetup | TraitSetup | SpaceSetup) -> Definition:
    fields = msgspec.to_builtins(setup)
    return Definition(fields.pop("slug"), fields)


def _read(kind: type[_T], slug: str, fields: dict[str, Any]) -> _T:
    """Raises ConfigurationError for fields that can't be meant."""
    try:
        return msgspec.convert({**fields, "slug": slug}, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigurationError(f"{slug}: {error}") from error


def _contents(setup: AudienceSetup | TraitSetup | SpaceSetup) -> Contents:
    if isinstance(setup, AudienceSetup):
        return Contents(audiences=(setup,))
    if isinstance(setup, TraitSetup):
        return Contents(traits=(setup,))
    return Contents(spaces=(setup,))


def _put(request: Call, services: Given, setup: Any, known: list[str], *, new: bool) -> Definition:
    if new and setup.slug in known:
        raise AlreadyExists(f"there is {setup.slug} already")
    if not new and setup.slug not in known:
        raise NotFound(f"there is no {setup.slug}")
    services.workspace.definitions.put(_contents(setup), caller_of(request).actor)
    return _shown(setup)


@route("GET", "/audiences", _READ, tag=_TAG)
def list_audiences(services: Given) -> DefinitionList:
    """List all audiences."""
    return DefinitionList([_shown(one) for one in services.workspace.definitions.audiences()])


@route("POST", "/audiences", _WRITE, tag=_TAG, status=201, errors=[409])
def create_audience(request: Call, services: Given, data: JSONBody[NewDefinition]) -> Definition:
    """Create an audience. It is computed from the events that the journal still has."""
    known = [one.slug for one in services.workspace.definitions.audiences()]
    return _put(request, services, _read(AudienceSetup, data.slug, data.fields), known, new=True)


@route("POST", "/audiences/preview", _READ, tag=_TAG, errors=[404])
def preview_audience(services: Given, data: JSONBody[Wanted]) -> PreviewShown:
    """Count who would be in an audience with this condition now, and show some of them."""
    setup = AudienceSetup("preview", data.when, include_anonymous=data.include_anonymous,
                          include_history=data.include_history, space=data.space)  # fmt: skip
    with services.profiles(data.space) as reader:
        return show_preview(reader, services.journal, setup, time.time_ns() // 1000)


@route("GET", "/audiences/{slug:str}", _READ, tag=_TAG, errors=[404])
def get_audience(services: Given, slug: Slug) -> AudienceShown:
    """Get an audience: its definition, state, size, sizes by day, and some members."""
    setup = services.workspace.definitions.audience(slug)
    definition = msgspec.to_builtins(setup)
    try:
        with services.profiles(setup.space) as reader:
            return show_audience(reader, setup, definition, _PAGE)
    except NotFound:  # nobody is known yet
        return show_audience(None, setup, definition, _PAGE)


@route("GET", "/audiences/{slug:str}/members", _READ, tag=_TAG, errors=[404])
def list_members(
    services: Given,
    slug: Slug,
    after: Annotated[int, Parameter(ge=0, le=1 << 62, description="`next` of a page.")] = 0,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = _PAGE,
) -> MemberPage:
    """List the members of an audience."""
    setup = services.workspace.definitions.audience(slug)
    with services.profiles(setup.space) as reader:
        return show_members(reader, slug, after, limit)


@route("PUT", "/audiences/{slug:str}", _WRITE, tag=_TAG, errors=[404])
def replace_audience(
    request: Call, services: Given, slug: Slug, data: JSONBody[Body]
) -> Definition:
    """Replace an audience; fields that are absent take their defaults."""
    known = [one.slug for one in services.workspace.definitions.audiences()]
    return _put(request, services, _read(AudienceSetup, slug, data), known, new=False)


@route("DELETE", "/audiences/{slug:str}", _WRITE, tag=_TAG, status=204, errors=[404])
def delete_audience(request: Call, services: Given, slug: Slug) -> None:
    """Delete an audience that no other one needs. Destinations are told nothing."""
    services.workspace.definitions.delete_audience(slug, caller_of(request).actor)


@route("GET", "/traits", _READ, tag=_TAG)
def list_traits(services: Given) -> DefinitionList:
    """List all computed traits."""
    return DefinitionList([_shown(one) for one in services.workspace.definitions.traits()])


@route("POST", "/traits", _WRITE, tag=_TAG, status=201, errors=[409])
def create_trait(request: Call, services: Given, data: JSONBody[NewDefinition]) -> Definition:
    """Create a computed trait."""
    known = [one.slug for one in services.workspace.definitions.traits()]
    return _put(request, services, _read(TraitSetup, data.slug, data.fields), known, new=True)


@route("GET", "/traits/{slug:str}", _READ, tag=_TAG, errors=[404])
def get_trait(services: Given, slug: Slug) -> Definition:
    """Get a computed trait."""
    return _shown(services.workspace.definitions.trait(slug))


@route("PUT", "/traits/{slug:str}", _WRITE, tag=_TAG, errors=[404])
def replace_trait(request: Call, services: Given, slug: Slug, data: JSONBody[Body]) -> Definition:
    """Replace a computed trait; fields that are absent take their defaults."""
    known = [one.slug for one in services.workspace.definitions.traits()]
    return _put(request, services, _read(TraitSetup, slug, data), known, new=False)


@route("DELETE", "/traits/{slug:str}", _WRITE, tag=_TAG, status=204, errors=[404])
def delete_trait(request: Call, services: Given, slug: Slug) -> None:
    """Delete a computed trait that no audience needs."""
    services.workspace.definitions.delete_trait(slug, caller_of(request).actor)


@route("GET", "/spaces", _READ, tag=_TAG)
def list_spaces(services: Given) -> DefinitionList:
    """List the spaces that were described; others are as by default."""
    return DefinitionList([_shown(one) for one in services.workspace.definitions.spaces()])


@route("PUT", "/spaces/{slug:str}", _WRITE, tag=_TAG)
def put_space(request: Call, services: Given, slug: Slug, data: JSONBody[Body]) -> Definition:
    """Create or replace a space: how its events are resolved to people. New events obey it."""
    return _put(request, services, _read(SpaceSetup, slug, data), [slug], new=False)


@route("GET", "/profiles/{profile:str}", _READ, tag=_TAG, errors=[404])
def get_profile(
    services: Given,
    profile: Annotated[str, Parameter(description="Type and value, such as `user_id:u1`.")],
    space: Annotated[str, Parameter(max_length=63, description="The space.")] = "default",
    why: Annotated[
        str | None, Parameter(max_length=63, description="Slug of an audience to explain.")
    ] = None,
) -> ProfileShown:
    """Get a person, and why they are in an audience or not."""
    kind, colon, value = profile.partition(":")
    if not colon:
        raise ApiError("invalid_request", "path profile: give a type and a value, as user_id:u1")
    asked = []
    if why is not None:
        asked.append(services.workspace.definitions.audience(why))
        space = asked[0].space
    with services.profiles(space) as reader:
        return show_profile(reader, kind, value, asked, time.time_ns() // 1000)


HANDLERS = [
    list_audiences, create_audience, preview_audience, get_audience, list_members,
    replace_audience, delete_audience, list_traits, create_trait, get_trait, replace_trait,
    delete_trait, list_spaces, put_space, get_profile,
]  # fmt: skip
