"""Events as they came: those that were refused, and the live tail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from penstock.api.errors import ApiError
from penstock.api.routing import Page, route
from penstock.api.services import Given
from penstock.monitor.rejected import Refused, list_rejected
from penstock.monitor.tail import Polled, Tail, TailFilter, TailItem

__all__ = ["HANDLERS", "Tails"]

_TAG = "events"
_EVERY_S = 0.5
_QUIET_S = 15.0
_MOST_TAILS = 20


class RejectedPage(Page, kw_only=True):
    """What was refused, newest first."""

    items: list[Refused]


class Tails:
    """Counts the tails that are open."""

    def __init__(self, most: int = _MOST_TAILS) -> None:
        self._room = threading.BoundedSemaphore(most)

    def enter(self) -> None:
        """Raise ApiError when there are too many."""
        if not self._room.acquire(blocking=False):
            raise ApiError(
                "too_many_tails", "as many live tails are open as may be",
                headers={"Retry-After": "10"},
            )  # fmt: skip

    def leave(self) -> None:
        """Make room."""
        self._room.release()


@route("GET", "/rejected", "events:read", tag=_TAG)
def show_rejected(
    services: Given,
    limit: Annotated[int, Parameter(ge=1, le=1000, description="Most entries of a page.")] = 100,
    before: Annotated[
        str | None, Parameter(max_length=10_000, description="`next` of the page before.")
    ] = None,
    source: Annotated[
        str | None,
        Parameter(max_length=63, description="Slug of a source; empty: unknown write key."),
    ] = None,
    code: Annotated[
        str | None, Parameter(max_length=63, description="One of the ingest codes.")
    ] = None,
) -> RejectedPage:
    """List what was refused, newest first, with the bytes as they came."""
    try:
        page = list_rejected(services.journal, source=source, code=code, limit=limit, before=before)
    except ValueError as error:
        raise ApiError(
            "invalid_request", "query before: give what a page says in `next`"
        ) from error
    return RejectedPage(items=page.items, next=page.before)


_STREAM = ResponseSpec(
    str,
    media_type="text/event-stream",
    generate_examples=False,
    description="Server-sent events: `event` (a TailItem), and `skipped` (a count).",
)


@route("GET", "/tail", "events:read", tag=_TAG, errors=[429], sync_to_thread=None,
       responses={200: _STREAM})  # fmt: skip
async def tail(
    services: Given,
    state: State,
    source: Annotated[str | None, Parameter(max_length=63, description="Slug of a source.")] = None,
    event: Annotated[
        str | None, Parameter(max_length=1000, description="A name, or a call: $identify.")
    ] = None,
    user: Annotated[
        str | None, Parameter(max_length=1000, description="A userId or anonymousId.")
    ] = None,
    back: Annotated[
        int, Parameter(ge=0, le=1000, description="Events from before to begin with.")
    ] = 0,
    seconds: Annotated[
        float | None, Parameter(gt=0, le=86_400, description="End after so long.")
    ] = None,
) -> Stream:
    """Follow what arrives, each event with its fate so far, until you hang up."""
    tails: Tails = state.tails
    tails.enter()
    only = TailFilter(source=source, event=event, user=user)
    try:
        followed = await asyncio.to_thread(_opened, services, only, back)
    except BaseException:
        tails.leave()
        raise
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _followed(services, followed, tails, seconds)
    return Stream(stream, media_type="text/event-stream", headers=headers)


def _opened(services: Given, only: TailFilter, back: int) -> Tail:
    from penstock.warehouses.staging import is_routed

    warehouse = services.settings.warehouse_id
    return Tail(
        services.journal, services.ask, only=only, back=back,
        is_routed=lambda integrations: is_routed(integrations, warehouse),
    )  # fmt: skip


async def _followed(
    services: Given, followed: Tail, tails: Tails, seconds: float | None
) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    began = said = clock()
    try:
        yield b": penstock\n\n"
        while not services.stopping.is_set():
            if seconds is not None and clock() - began >= seconds:
                return
            text = _as_events(await asyncio.to_thread(followed.poll))
            if text or clock() - said > _QUIET_S:
                said = clock()
                yield text or b": quiet\n\n"
            await asyncio.sleep(_EVERY_S)
    finally:
        tails.leave()


def _as_events(polled: Polled) -> bytes:
    parts = [_event("event", item) for item in polled.items]
    if polled.skipped:
        parts.append(_event("skipped", {"count": polled.skipped}))
    return b"".join(parts)


def _event(name: str, data: TailItem | dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


HANDLERS = [show_rejected, tail]
