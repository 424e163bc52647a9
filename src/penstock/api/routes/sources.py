"""Sources and their write keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar.params import JSONBody, Parameter
from msgspec import UNSET, Meta, UnsetType

from penstock.api.access import Call, Caller, caller_of
from penstock.api.errors import ApiError
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.errors import NotFound
from penstock.events.model import Source
from penstock.workspace.audit import masked
from penstock.workspace.rules import SLUG, SOURCE_TYPES, WRITE_KEY, check_source
from penstock.workspace.store import new_write_key

__all__ = ["HANDLERS", "Key", "NewSource", "Slug", "SourceBody", "as_body", "as_source"]

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Slug = Annotated[
    str, Meta(pattern=f"^{SLUG.pattern}$", description="Also the schema in the warehouse.")
]
Key = Annotated[str, Meta(pattern=f"^{WRITE_KEY.pattern}$")]
Type = Annotated[str, Meta(pattern=f"^({'|'.join(SOURCE_TYPES)})$")]
Rate = Annotated[int, Meta(ge=1, le=10_000_000, description="Events per second.")]
PathSlug = Annotated[str, Parameter(description="Slug of the source.")]
PathKey = Annotated[str, Parameter(description="The write key.")]
_MOST_KEYS = 100
_TAG = "sources"


class SourceFields(msgspec.Struct, forbid_unknown_fields=True):
    """What a source is, apart from its slug."""

    name: Name
    type: Type = "server"
    space: Slug = "default"
    enabled: bool = True
    write_keys: Annotated[list[Key], Meta(max_length=_MOST_KEYS)] = []
    """Without any, those it has stay, and a new source is given one."""
    rate_limit: Rate | None = None


class NewSource(SourceFields, forbid_unknown_fields=True, kw_only=True):
    """A source to create."""

    slug: Slug


class SourcePatch(msgspec.Struct, forbid_unknown_fields=True):
    """The fields to change."""

    name: Name | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    space: Slug | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    write_keys: Annotated[list[Key], Meta(max_length=_MOST_KEYS)] | UnsetType = UNSET
    rate_limit: Rate | UnsetType | None = UNSET


class SourceBody(msgspec.Struct):
    """A source as it is."""

    slug: str
    name: str
    type: str
    space: str
    enabled: bool
    write_keys: list[str]
    """Masked for those who may not change sources."""
    rate_limit: int | None


class SourceList(msgspec.Struct):
    """All sources, by slug."""

    items: list[SourceBody]


class KeyList(msgspec.Struct):
    """The write keys of a source."""

    items: list[str]


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A write key to add."""

    key: Key | None = None
    """Without it, Penstock makes one that nobody can guess."""


def as_source(slug: str, fields: SourceFields) -> Source:
    """A source as it would be stored. Raises ConfigurationError."""
    source = Source(slug, fields.name, fields.type, fields.enabled, tuple(fields.write_keys),
                    fields.space, fields.rate_limit)  # fmt: skip
    check_source(source)
    return source


def as_body(source: Source, caller: Caller) -> SourceBody:
    """A source for whoever asks."""
    keys = list(source.write_keys)
    if not caller.may("sources:write"):
        keys = [masked(key) for key in keys]
    return SourceBody(source.slug, source.name, source.type, source.space, source.enabled, keys,
                      source.rate_limit)  # fmt: skip


@route("GET", "/sources", "sources:read", tag=_TAG)
def list_sources(request: Call, services: Given) -> SourceList:
    """List all sources."""
    caller = caller_of(request)
    return SourceList([as_body(source, caller) for source in services.workspace.sources()])


@route("POST", "/sources", "sources:write", tag=_TAG, status=201, errors=[409])
def create_source(request: Call, services: Given, data: JSONBody[NewSource]) -> SourceBody:
    """Create a source. A collector knows it within two seconds."""
    source = as_source(data.slug, data)
    if not source.write_keys:
        source = msgspec.structs.replace(source, write_keys=(new_write_key(),))

    def added(known: list[Source]) -> list[Source]:
        if any(each.slug == source.slug for each in known):
            raise ApiError("exists", f"there is a source {source.slug} already")
        return [source]

    caller = caller_of(request)
    services.workspace.change_sources(added, caller.actor)
    return as_body(source, caller)


@route("GET", "/sources/{slug:str}", "sources:read", tag=_TAG, errors=[404])
def get_source(request: Call, services: Given, slug: PathSlug) -> SourceBody:
    """Get one source."""
    return as_body(services.workspace.source(slug), caller_of(request))


@route("PUT", "/sources/{slug:str}", "sources:write", tag=_TAG, errors=[404])
def replace_source(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[SourceFields]
) -> SourceBody:
    """Replace a source; fields that are absent take their defaults, write keys stay."""

    def replaced(before: Source) -> Source:
        after = as_source(slug, data)
        return msgspec.structs.replace(after, write_keys=after.write_keys or before.write_keys)

    return _changed(request, services, slug, replaced)


@route("PATCH", "/sources/{slug:str}", "sources:write", tag=_TAG, errors=[404])
def change_source(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[SourcePatch]
) -> SourceBody:
    """Change some fields of a source."""
    given = {
        name: tuple(value) if name == "write_keys" else value
        for name, value in msgspec.structs.asdict(data).items()
        if value is not UNSET
    }

    def patched(before: Source) -> Source:
        after = msgspec.structs.replace(before, **given)
        check_source(after)
        return after

    return _changed(request, services, slug, patched)


@route("DELETE", "/sources/{slug:str}", "sources:write", tag=_TAG, status=204, errors=[404])
def delete_source(request: Call, services: Given, slug: PathSlug) -> None:
    """Delete a source: its write keys are refused from now on. Its events stay."""
    services.workspace.delete_source(slug, caller_of(request).actor)


@route("GET", "/sources/{slug:str}/write-keys", "sources:write", tag=_TAG, errors=[404])
def list_write_keys(services: Given, slug: PathSlug) -> KeyList:
    """List the write keys of a source, whole."""
    return KeyList(list(services.workspace.source(slug).write_keys))


@route("POST", "/sources/{slug:str}/write-keys", "sources:write", tag=_TAG, status=201,
       errors=[404])  # fmt: skip
def add_write_key(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[NewKey]
) -> KeyList:
    """Add a write key; the others stay."""
    key = data.key or new_write_key()

    def added(before: Source) -> Source:
        return _with_keys(before, [*before.write_keys, key])

    return _changed_keys(request, services, slug, added)


@route("POST", "/sources/{slug:str}/write-keys/{key:str}/rotate", "sources:write", tag=_TAG,
       errors=[404])  # fmt: skip
def rotate_write_key(request: Call, services: Given, slug: PathSlug, key: PathKey) -> KeyList:
    """Put a new write key in the place of one, which is refused from now on."""

    def rotated(before: Source) -> Source:
        _check_key(before, key)
        fresh = new_write_key()
        return _with_keys(before, [fresh if each == key else each for each in before.write_keys])

    return _changed_keys(request, services, slug, rotated)


@route("DELETE", "/sources/{slug:str}/write-keys/{key:str}", "sources:write", tag=_TAG,
       status=204, errors=[404])  # fmt: skip
def revoke_write_key(request: Call, services: Given, slug: PathSlug, key: PathKey) -> None:
    """Revoke a write key: it is refused from now on."""

    def revoked(before: Source) -> Source:
        _check_key(before, key)
        return _with_keys(before, [each for each in before.write_keys if each != key])

    _changed_keys(request, services, slug, revoked)


def _check_key(source: Source, key: str) -> None:
    if key not in source.write_keys:
        raise NotFound(f"source {source.slug} has no such write key")


def _with_keys(source: Source, keys: list[str]) -> Source:
    if len(keys) > _MOST_KEYS:
        raise ApiError("refused", f"a source has at most {_MOST_KEYS} write keys")
    after = msgspec.structs.replace(source, write_keys=tuple(keys))
    check_source(after)
    return after


def _changed(
    request: Call,
    services: Given,
    slug: str,
    change: Callable[[Source], Source],
) -> SourceBody:
    caller = caller_of(request)
    return as_body(services.workspace.change_source(slug, change, caller.actor), caller)


def _changed_keys(
    request: Call,
    services: Given,
    slug: str,
    change: Callable[[Source], Source],
) -> KeyList:
    return KeyList(_changed(request, services, slug, change).write_keys)


HANDLERS = [
    list_sources, create_source, get_source, replace_source, change_source, delete_source,
    list_write_keys, add_write_key, rotate_write_key, revoke_write_key,
]  # fmt: skip
