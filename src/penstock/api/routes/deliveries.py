"""What became of what was sent: figures, samples, dead letters, replays, and a trial."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar.params import JSONBody, Parameter
from msgspec import Meta

from penstock.api.access import Call, caller_of
from penstock.api.errors import ApiError
from penstock.api.routes.destinations import PathSlug
from penstock.api.routing import Page, route
from penstock.api.services import Given, Services
from penstock.destinations.delivery.records import (
    Count,
    DeadLetter,
    Overview,
    ReplayState,
    Sample,
)
from penstock.destinations.trial import Trial, run_trial
from penstock.errors import NotFound

__all__ = ["HANDLERS"]

_TAG = "deliveries"
_READ = "destinations:read"
_WRITE = "destinations:write"
_LONGEST = timedelta(days=366)
_DEFAULT = timedelta(days=1)
_MOST_IDS = 10_000
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=1000)]], Meta(max_length=100)]


class OverviewList(msgspec.Struct):
    """Destinations that were ever delivered to, by slug."""

    items: list[Overview]


class CountList(msgspec.Struct):
    """By time, action, step and code; what is not listed is 0."""

    start: datetime
    end: datetime
    p95_seconds: float | None
    """From receipt to the tool's answer."""
    items: list[Count]


class SampleList(msgspec.Struct):
    """Examples of each action, step and code."""

    items: list[Sample]


class DeadLetterPage(Page, kw_only=True):
    """Dead letters, newest first."""

    items: list[DeadLetter]


class ReplayList(msgspec.Struct):
    """Replays, newest first."""

    items: list[ReplayState]


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters."""

    ids: Annotated[list[int], Meta(min_length=1, max_length=_MOST_IDS)] | None
    """Null: all of the destination's."""


class Affected(msgspec.Struct):
    """How many events it was about."""

    events: int


class NewReplay(msgspec.Struct, forbid_unknown_fields=True):
    """What to send again; by the time of receipt."""

    start: datetime
    end: datetime
    events: Names = []
    """Names, or calls such as $identify; empty: all."""
    sources: Names = []


class ReplayId(msgspec.Struct):
    """A replay that was asked for."""

    id: int


class Try(msgspec.Struct, forbid_unknown_fields=True):
    """What to try."""

    event: dict[str, Any] | None = None
    """Null: the newest event for which the destination has a mapping."""
    source: Annotated[str, Meta(max_length=63)] = ""
    dry_run: bool = False
    """Show what would be sent, and send nothing."""


@route("GET", "/deliveries", _READ, tag=_TAG)
def show_overview(services: Given) -> OverviewList:
    """Show each destination at a glance: its state, and figures of the last 24 hours."""
    if not services.settings.deliveries_file.exists():
        return OverviewList([])
    with services.deliveries() as store:
        return OverviewList(store.overview())


@route("GET", "/destinations/{slug:str}/deliveries", _READ, tag=_TAG, errors=[404])
def count_deliveries(
    services: Given,
    slug: PathSlug,
    start: Annotated[datetime | None, Parameter(description="Default: a day before end.")] = None,
    end: Annotated[datetime | None, Parameter(description="Default: now.")] = None,
    by: Annotated[
        Literal["minute", "hour", "day", "total"], Parameter(description="Length of a step.")
    ] = "hour",
) -> CountList:
    """Count outcomes by action and code."""
    _known(services, slug)
    until = _utc(end) if end else datetime.now(UTC)
    since = _utc(start) if start else until - _DEFAULT
    if since >= until:
        raise ApiError("invalid_request", "query start: give a time before end")
    if until - since > _LONGEST:
        raise ApiError("invalid_request", f"query start: at most {_LONGEST.days} days before end")
    with services.deliveries() as store:
        found = store.counts(slug, since, until, by=by)
        return CountList(since, until, store.latency(slug, since, until), found)


@route("GET", "/destinations/{slug:str}/samples", _READ, tag=_TAG, errors=[404])
def show_samples(
    services: Given,
    slug: PathSlug,
    limit: Annotated[int, Parameter(ge=1, le=10, description="Most of each outcome.")] = 10,
) -> SampleList:
    """Show examples of each outcome, with request and answer."""
    _known(services, slug)
    with services.deliveries() as store:
        return SampleList(store.samples(slug, limit))


@route("POST", "/destinations/{slug:str}/test", _WRITE, tag=_TAG, errors=[404],
       sync_to_thread=None)  # fmt: skip
async def test_destination(
    request: Call, services: Given, slug: PathSlug, data: JSONBody[Try]
) -> Trial:
    """Send one event for real and show each request with its answer, or only show the requests.

    Filters, consent and the event's flags are not applied; `withheld` says what they would do. The
    functions of the destination are run.
    """
    setup = await asyncio.to_thread(services.workspace.destination, slug)
    caller = caller_of(request)

    async def rotated(token: str) -> None:
        workspace = services.workspace
        await asyncio.to_thread(workspace.renew_token, slug, token, caller.actor)

    given = None if data.event is None else (data.source, data.event)
    functions = await asyncio.to_thread(services.workspace.functions) if setup.functions else []
    return await run_trial(
        services.settings, services.journal, setup, given,
        dry_run=data.dry_run, rotated=rotated, functions=functions,
    )  # fmt: skip


@route("GET", "/destinations/{slug:str}/dead-letters", _READ, tag=_TAG, errors=[404])
def list_dead_letters(
    services: Given,
    slug: PathSlug,
    before: Annotated[int | None, Parameter(ge=0, description="`next` of a page.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
    reason: Annotated[str | None, Parameter(max_length=100, description="A code.")] = None,
) -> DeadLetterPage:
    """List what was given up, with request, answer and reason."""
    _known(services, slug, gone=True)
    with services.deliveries() as store:
        found = store.dead_letters(slug, limit, before, reason)
    following = str(found[-1].id) if len(found) == limit else None
    return DeadLetterPage(items=found, next=following)


@route("POST", "/destinations/{slug:str}/dead-letters/retry", _WRITE, tag=_TAG, errors=[404])
def retry_dead_letters(services: Given, slug: PathSlug, data: JSONBody[Chosen]) -> Affected:
    """Send dead letters again."""
    _known(services, slug)
    with services.deliveries() as store:
        return Affected(store.retry_dead(slug, data.ids))


@route("POST", "/destinations/{slug:str}/dead-letters/discard", _WRITE, tag=_TAG, errors=[404])
def discard_dead_letters(services: Given, slug: PathSlug, data: JSONBody[Chosen]) -> Affected:
    """Forget dead letters for good."""
    _known(services, slug, gone=True)
    with services.deliveries() as store:
        return Affected(store.discard_dead(slug, data.ids))


@route("GET", "/destinations/{slug:str}/replays", _READ, tag=_TAG, errors=[404])
def list_replays(services: Given, slug: PathSlug) -> ReplayList:
    """List replays, with how far each is."""
    _known(services, slug)
    with services.deliveries() as store:
        return ReplayList(store.replays(slug))


@route("POST", "/destinations/{slug:str}/replays", _WRITE, tag=_TAG, status=201, errors=[404])
def start_replay(services: Given, slug: PathSlug, data: JSONBody[NewReplay]) -> ReplayId:
    """Send events that the journal still has again, to this destination alone."""
    _known(services, slug)
    with services.deliveries() as store:
        start, end = _utc(data.start), _utc(data.end)
        return ReplayId(store.request_replay(slug, start, end, data.events, data.sources))


@route("DELETE", "/destinations/{slug:str}/replays/{replay:str}", _WRITE, tag=_TAG, status=204,
       errors=[404])  # fmt: skip
def cancel_replay(
    services: Given,
    slug: PathSlug,
    replay: Annotated[str, Parameter(description="Id of the replay.")],
) -> None:
    """Stop a replay that has not ended."""
    _known(services, slug)
    with services.deliveries() as store:
        mine = {str(each.id): each.id for each in store.replays(slug)}
        if replay not in mine or not store.cancel_replay(mine[replay]):
            raise NotFound(f"no replay {replay} of {slug} waits or runs")


def _known(services: Services, slug: str, *, gone: bool = False) -> None:
    """Raise NotFound unless there is such a destination, or was when ``gone`` ones count."""
    try:
        services.workspace.destination(slug, secrets=False)
    except NotFound:
        if not gone or not services.settings.deliveries_file.exists():
            raise
        with services.deliveries() as store:
            if not store.overview(slug):
                raise


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


HANDLERS = [
    show_overview, count_deliveries, show_samples, test_destination, list_dead_letters,
    retry_dead_letters, discard_dead_letters, list_replays, start_replay, cancel_replay,
]  # fmt: skip
