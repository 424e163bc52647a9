"""The Profile API: one person or account, for programs that personalise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter, QueryParameter

from penstock.api.access import authorized_by_name
from penstock.api.errors import ApiError
from penstock.api.profile_bodies import (
    Cursor,
    EventPage,
    IdPage,
    LinkPage,
    MetadataBody,
    ProfileErrorBody,
    TraitPage,
    event_body,
    id_body,
    iso,
    microseconds_of,
    verbose_trait,
)
from penstock.api.services import Given, Services
from penstock.errors import NotFound
from penstock.profiles.reading.events import recent_events
from penstock.profiles.reading.people import Person, ProfileReader, TraitEntry

__all__ = ["HANDLERS"]

_SCOPE = "profiles:read"
_TAG = "Profile API"
_OLDEST = timedelta(days=14)
Space = Annotated[str, Parameter(description="The space.", max_length=63)]
User = Annotated[str, Parameter(description="Type and value, such as `user_id:u1`.")]
Group = Annotated[str, Parameter(description="`group_id:` and the id.")]
Next = Annotated[str | None, Parameter(max_length=1000, description="`next` of a cursor.")]
Names = Annotated[str | None, Parameter(max_length=10_000, description="Names, with commas.")]
Verbose = Annotated[bool, Parameter(description="Each with its source and time.")]
TraitLimit = Annotated[int, Parameter(ge=1, le=200)]
ListLimit = Annotated[int, Parameter(ge=1, le=100)]


def _get(path: str) -> Callable[[Any], HTTPRouteHandler]:
    responses = {
        status: ResponseSpec(ProfileErrorBody, description=text, generate_examples=False)
        for status, text in (
            (400, "`invalid_request_error`, `validation_error`"),
            (401, "`authentication_error`: no token as user name, or one that was revoked"),
            (403, "`authentication_error`: the token lacks the scope profiles:read"),
            (404, "`not_found`"),
            (429, "`rate_limit_error`: more than 100 requests in a second"),
            (500, "`internal_error`"),
            (503, "`internal_error`"),
        )
    }
    return HTTPRouteHandler(
        path, http_method=HttpMethod.GET, status_code=200, tags=[_TAG], responses=responses,
        guards=[authorized_by_name], opt={"scope": _SCOPE}, sync_to_thread=True,
        security=[{"name": []}],
    )  # fmt: skip


@_get("/users/profiles/{profile:str}/traits")
def user_traits(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    profile: User,
    limit: TraitLimit = 10,
    next: Next = None,
    include: Names = None,
    exclude: Names = None,
    trait_class: Annotated[
        Literal["audience", "computed_trait"] | None, QueryParameter(name="class")
    ] = None,
    verbose: Verbose = False,
) -> TraitPage:
    """Get traits of a person: custom ones, computed ones, and audiences as true or false."""
    with _person(services, space, profile) as (reader, person):
        found = reader.traits(person)
    if trait_class is not None:
        found = [one for one in found if one.kind == trait_class]
    return _trait_page(request, found, limit, next, (include, exclude), verbose)


@_get("/users/profiles/{profile:str}/external_ids")
def user_ids(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    profile: User,
    limit: ListLimit = 10,
    next: Next = None,
    include: Names = None,
    exclude: Names = None,
    verbose: Verbose = False,
) -> IdPage:
    """Get the external ids of a person; include and exclude name types."""
    del verbose  # every answer is as full as it gets
    with _person(services, space, profile) as (reader, person):
        found = [one for one in reader.ids(person) if _wanted(one.type, include, exclude)]
    after = _whole(next)
    found = [one for one in found if one.number > after]
    page = found[:limit]
    following = str(page[-1].number) if len(found) > limit else ""
    return IdPage([id_body(one) for one in page], _cursor(request, following, limit))


@_get("/users/profiles/{profile:str}/events")
def user_events(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    profile: User,
    limit: ListLimit = 10,
    next: Next = None,
    include: Names = None,
    exclude: Names = None,
    start: Annotated[datetime | None, Parameter(description="At most 14 days ago.")] = None,
    end: Annotated[datetime | None, Parameter(description="Default: now.")] = None,
    sort: Annotated[Literal["asc", "desc"], Parameter(description="By timestamp.")] = "desc",
) -> EventPage:
    """Get the last events of a person, of the last 14 days; include and exclude name events."""
    now = datetime.now(UTC)
    since = max(microseconds_of(start) if start else 0, microseconds_of(now - _OLDEST))
    until = microseconds_of(end) if end else 1 << 62
    with _person(services, space, profile) as (reader, person):
        ids = [id_body(one) for one in reader.ids(person)]
    found = [
        ((event.timestamp_us, place), event)
        for place, event in recent_events(services.journal, person.states)
        if since <= event.timestamp_us <= until and _wanted(event.name, include, exclude)
    ]
    found.sort(key=lambda one: one[0], reverse=sort == "desc")
    after = _place(next)
    if after is not None:
        found = [one for one in found if (one[0] > after if sort == "asc" else one[0] < after)]
    page = found[:limit]
    following = "{}.{}".format(*page[-1][0]) if len(found) > limit else ""
    data = [event_body(event, ids, person.public_id) for _, event in page]
    return EventPage(data, _cursor(request, following, limit))


@_get("/users/profiles/{profile:str}/metadata")
def user_metadata(
    services: Given, space: Space, profile: User, verbose: Verbose = False
) -> MetadataBody:
    """Get when a person was first and last heard of, and by which event of which source."""
    del verbose
    with _person(services, space, profile) as (reader, person):
        found = reader.metadata(person)
    return MetadataBody({
        "created_at": iso(found.created_us),
        "updated_at": iso(found.updated_us),
        "expires_at": None,
        "first_message_id": found.first_message_id,
        "first_source_id": found.first_source,
        "last_message_id": found.last_message_id,
        "last_source_id": found.last_source,
    })  # fmt: skip


@_get("/users/profiles/{profile:str}/links")
def user_links(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    profile: User,
    limit: ListLimit = 20,
) -> LinkPage:
    """Get the accounts of a person, at most 20."""
    with _person(services, space, profile) as (reader, person):
        groups = reader.accounts_of(person)
    data: list[dict[str, Any]] = [
        {"to_collection": "accounts",
         "external_ids": [{"id": group, "type": "group_id", "collection": "accounts",
                           "encoding": "none"}]}
        for group in groups[:limit]
    ]  # fmt: skip
    return LinkPage(data, _cursor(request, "", limit))


@_get("/accounts/profiles/{account:str}/traits")
def account_traits(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    account: Group,
    limit: TraitLimit = 10,
    next: Next = None,
    include: Names = None,
    exclude: Names = None,
    verbose: Verbose = False,
) -> TraitPage:
    """Get the traits of an account, as group calls gave them."""
    with services.profiles(space) as reader:
        found = reader.account_traits(reader.account(_group(account)))
    return _trait_page(request, found, limit, next, (include, exclude), verbose)


@_get("/accounts/profiles/{account:str}/links")
def account_links(
    request: Request[Any, Any, Any],
    services: Given,
    space: Space,
    account: Group,
    limit: ListLimit = 20,
) -> LinkPage:
    """Get the people of an account, at most 20."""
    with services.profiles(space) as reader:
        users = reader.users_of(reader.account(_group(account)))[:limit]
        data: list[dict[str, Any]] = [
            {
                "to_collection": "users",
                "external_ids": [id_body(one) for one in reader.ids_of(user)],
            }
            for user in users
        ]
    return LinkPage(data, _cursor(request, "", limit))


@contextmanager
def _person(services: Services, space: str, given: str) -> Iterator[tuple[ProfileReader, Person]]:
    """By ``type:value``, or by the person's own id ``use_…``."""
    kind, colon, value = given.partition(":")
    if not colon:
        kind, value = "profile", given
    with services.profiles(space) as reader:
        yield reader, reader.find(kind, value)


def _group(given: str) -> str:
    kind, _, value = given.partition(":")
    if kind != "group_id":
        raise NotFound("Profile was not found.")
    return value


def _trait_page(
    request: Request[Any, Any, Any],
    found: Sequence[TraitEntry],
    limit: int,
    after: str | None,
    names: tuple[str | None, str | None],
    verbose: bool,
) -> TraitPage:
    wanted = [one for one in found if _wanted(one.name, *names)]
    if after is not None:
        wanted = [one for one in wanted if one.name > after]
    page = wanted[:limit]
    following = page[-1].name if len(wanted) > limit else ""
    traits = {one.name: verbose_trait(one) if verbose else one.value for one in page}
    return TraitPage(traits, _cursor(request, following, limit))


def _wanted(name: str, include: str | None, exclude: str | None) -> bool:
    if include is not None and name not in include.split(","):
        return False
    return exclude is None or name not in exclude.split(",")


def _cursor(request: Request[Any, Any, Any], following: str, limit: int) -> Cursor:
    return Cursor(request.scope["path"], bool(following), following, limit)


def _whole(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ApiError("invalid_request", "query next: give the `next` of a cursor")
    return int(text)


def _place(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    at, _, place = text.partition(".")
    return _whole(at), _whole(place)


HANDLERS = [
    user_traits, user_ids, user_events, user_metadata, user_links, account_traits, account_links,
]  # fmt: skip
