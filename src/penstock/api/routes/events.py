"""Events as they came: those that were refused, and the live tail."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import msgspec
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from penstock.api.access import Call, caller_of, still_may
from penstock.api.errors import ApiError
from penstock.api.routing import Page, route
from penstock.api.services import Given
from penstock.monitor.rejected import Refused, list_rejected
from penstock.monitor.tail import Polled, Tail, TailFilter, TailItem
from penstock.workspace.audit import masked

__all__ = ["HANDLERS", "Tails"]

_TAG = "events"
_EVERY_S = 0.5
_QUIET_S = 15.0
_MOST_TAILS = 20
_MOST_OF_ONE = 5
_ASK_AGAIN_S = 5.0


class RejectedPage(Page, kw_only=True):
    """What was refused, newest first."""

    items: list[Refused]


class Tails:
    """Counts the tails that are open, by their owners."""

    def __init__(self, most: int = _MOST_TAILS, most_of_one: int = _MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, owner: str) -> None:
        """Raise ApiError when there are too many."""
        with self._lock:
            if self._open[owner] >= self._most_of_one:
                raise _too_many(f"you have {self._most_of_one} live tails open, as many as may be")
            if self._open.total() >= self._most:
                raise _too_many("as many live tails are open as may be")
            self._open[owner] += 1

    def leave(self, owner: str) -> None:
        """Make room."""
        with self._lock:
            self._open[owner] -= 1
            self._open += Counter()  # forgets who has none


def _too_many(text: str) -> ApiError:
    return ApiError("too_many_tails", text, headers={"Retry-After": "10"})


@route("GET", "/rejected", "events:read", tag=_TAG)
def show_rejected(
    request: Call,
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
    return RejectedPage(items=_hidden(page.items, request, services), next=page.before)


def _hidden(items: list[Refused], request: Call, services: Given) -> list[Refused]:
    """With write keys masked, for those who may not change sources."""
    keys = {key for source in services.workspace.sources() for key in source.write_keys}
    if caller_of(request).may("sources:write") or not keys:
        return items
    longest_first = sorted(keys, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, longest_first)).encode())

    def hide(text: bytes) -> bytes:
        return known.sub(lambda found: masked(found[0].decode()).encode(), text)

    def hidden(item: Refused) -> Refused:
        names = ("reason", "path", "event", "message_id")
        texts = {name: hide((getattr(item, name) or "").encode()).decode() for name in names}
        if item.encoding == "base64":
            original = base64.b64encode(hide(base64.b64decode(item.original))).decode()
        else:
            original = hide(item.original.encode()).decode()
        message_id = None if item.message_id is None else texts["message_id"]
        changed = {**texts, "message_id": message_id, "original": original}
        return msgspec.structs.replace(item, **changed)

    return [hidden(item) for item in items]


_STREAM = ResponseSpec(
    str,
    media_type="text/event-stream",
    generate_examples=False,
    description="Server-sent events: `event` (a TailItem), and `skipped` (a count).",
)


@route("GET", "/tail", "events:read", tag=_TAG, errors=[429], sync_to_thread=None,
       responses={200: _STREAM})  # fmt: skip
async def tail(
    request: Call,
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
    owner = caller_of(request).owner
    tails.enter(owner)
    only = TailFilter(source=source, event=event, user=user)
    try:
        followed = await asyncio.to_thread(_opened, services, only, back)
    except BaseException:
        tails.leave(owner)
        raise
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _followed(
        services, followed, seconds,
        may=lambda: still_may(request, "events:read"), leave=lambda: tails.leave(owner),
    )  # fmt: skip
    return Stream(stream, media_type="text/event-stream", headers=headers)


def _opened(services: Given, only: TailFilter, back: int) -> Tail:
    from penstock.destinations.delivery.asked import DeliveriesAsked
    from penstock.warehouses.staging import is_routed

    warehouse = services.settings.warehouse_id
    return Tail(
        services.journal, services.ask, only=only, back=back,
        is_routed=lambda integrations: is_routed(integrations, warehouse),
        ask_fates=DeliveriesAsked(services.settings.deliveries_file).fates,
    )  # fmt: skip


async def _followed(
    services: Given,
    followed: Tail,
    seconds: float | None,
    *,
    may: Callable[[], Awaitable[bool]],
    leave: Callable[[], None],
) -> AsyncIterator[bytes]:
    clock = services.now
    began = said = asked = clock()
    try:
        yield b": penstock\n\n"
        while not services.stopping.is_set():
            if seconds is not None and clock() - began >= seconds:
                return
            if clock() - asked >= _ASK_AGAIN_S:
                if not await may():
                    return
                asked = clock()
            text = _as_events(await asyncio.to_thread(followed.poll))
            if text or clock() - said > _QUIET_S:
                said = clock()
                yield text or b": quiet\n\n"
            await asyncio.sleep(_EVERY_S)
    finally:
        leave()


def _as_events(polled: Polled) -> bytes:
    parts = [_event("event", item) for item in polled.items]
    if polled.skipped:
        parts.append(_event("skipped", {"count": polled.skipped}))
    return b"".join(parts)


def _event(name: str, data: TailItem | dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


HANDLERS = [show_rejected, tail]
