"""Trying a destination with one event: what each mapping makes of it, what is sent and answered."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.destinations.contract import Call, Destination, Refused, Skipped
from penstock.destinations.functions.before import Blocking, chain_of
from penstock.destinations.functions.chain import Chain, Place
from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.destinations.registry import definition as definition_of
from penstock.destinations.route import Event, Functions, Planned, Route
from penstock.destinations.routed import NO_MAPPING, PLACES
from penstock.destinations.sending import Exchange, Senders, perform, perform_dry, show_dry
from penstock.destinations.sending.oauth import Tokens
from penstock.destinations.sending.outcome import Outcome
from penstock.destinations.setup import check_settings
from penstock.errors import ConfigurationError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal
from penstock.settings import Settings

__all__ = ["Attempt", "Trial", "newest_events", "run_trial", "try_event"]

_LOOKED_AT = 2_000
_decode = msgspec.msgpack.Decoder(list[Record]).decode


class Attempt(msgspec.Struct, frozen=True):
    """What one mapping did with the event."""

    mapping: int
    """Its number, from 0."""
    action: str
    payload: Any
    """What the mapping made; null when it could not."""
    requests: list[Exchange]
    """As they went out, secrets masked, with their answers; without answers in a dry run."""
    status: int
    """The tool's; 0 when nothing was sent."""
    code: str
    message: str
    delivered: bool


class Trial(msgspec.Struct, frozen=True):
    """What one event did."""

    event: dict[str, Any]
    withheld: str
    """Why the event would not reach the mappings by itself; empty: it would."""
    attempts: list[Attempt]
    """One for each enabled mapping whose trigger holds, for each event that the functions made."""
    dry_run: bool


@dataclass(frozen=True)
class _Ground:
    """What all attempts share."""

    definition: Destination
    settings: dict[str, Any]
    message_id: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def call(self, planned: Planned) -> Call:
        return Call(
            [msgspec.json.decode(msgspec.json.encode(planned.payload))],  # build may change it
            self.settings,
            self.now(),
            self.new_id,
            planned.mapped.sync_mode,
            (self.message_id,),
        )


async def try_event(
    definition: Destination,
    setup: DestinationSetup,
    event: Event,
    source: str,
    senders: Senders | None,
    *,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
    functions: Functions | None = None,
    rotated: Callable[[str], Awaitable[None]] | None = None,
) -> Trial:
    """Send an event through functions and enabled mappings, whatever flags, filters, consent say.

    Without ``senders`` nothing is sent. ``functions`` is called in another thread, once.
    ``rotated`` is told a new refresh token, which must be kept. Raises ConfigurationError when the
    setup can't be used.
    """
    withheld = Route(definition, setup)(event, source).reason
    open_setup = msgspec.structs.replace(setup, filters=(), consent=(), sources=None)
    plain = {key: value for key, value in event.items() if key != "_metadata"}
    given = event.get("integrations")
    plain["integrations"] = {**(given if isinstance(given, dict) else {}), setup.slug: True}
    route = Route(definition, open_setup, functions=functions)
    routed = await asyncio.to_thread(route, plain, source)
    if withheld in ("", NO_MAPPING):
        withheld = routed.reason
    settings = check_settings(definition, setup.settings)
    ground = _Ground(definition, settings, str(event.get("messageId", "")), now, new_id)
    attempts = [
        Attempt(
            each.place % PLACES, each.mapped.action.slug, None, [], 0, each.code, each.reason, False
        )
        for each in routed.unsendable
    ]
    token = None
    if senders is not None and definition.oauth is not None:
        token = Tokens(definition.oauth, settings, senders.http, rotated=rotated)
    for planned in routed.planned:
        if senders is None:
            attempts.append(_dry(ground, planned))
            continue
        done = await perform(
            definition, planned.mapped.action, ground.call(planned), senders, token,
            timeout=setup.delivery.timeout, record=True,
        )  # fmt: skip
        attempts.append(_attempt(planned, done.outcomes[0], list(done.exchanges)))
    attempts.sort(key=lambda each: each.mapping)
    return Trial(event, withheld, attempts, senders is None)


async def run_trial(
    settings: Settings,
    journal: Journal,
    setup: DestinationSetup,
    given: tuple[str, Event] | None,
    *,
    dry_run: bool,
    rotated: Callable[[str], Awaitable[None]],
    functions: Sequence[FunctionSetup] = (),
) -> Trial:
    """Try the event (its source, and itself), else the newest that a mapping is for.

    ``functions`` are those of the workspace, of which the destination has some.
    Raises ConfigurationError when there is none, or the setup can't be used.
    """
    tool = await asyncio.to_thread(definition_of, setup.type, settings.destinations_folder)
    if given is None:
        given = await asyncio.to_thread(_newest_for, journal, tool, setup)
    senders = None
    if not dry_run:
        senders = Senders(
            allow_private=settings.allow_private_destinations, folder=settings.exports_root
        )
    chain = _chain(settings, setup, functions) if setup.functions else None
    source, event = given
    try:
        return await try_event(
            tool, setup, event, source, senders,
            now=lambda: datetime.now(UTC), new_id=lambda: str(uuid.uuid4()), rotated=rotated,
            functions=None if chain is None else Blocking(chain),
        )  # fmt: skip
    finally:
        if chain is not None:
            await asyncio.to_thread(chain.close)
        if senders is not None:
            await senders.close()


def _chain(
    settings: Settings, setup: DestinationSetup, functions: Sequence[FunctionSetup]
) -> Chain:
    known = {each.slug: each for each in functions}
    place = Place(settings.functions_root, settings.allow_private_destinations)
    return chain_of(setup, lambda: known, place)


def _newest_for(journal: Journal, tool: Destination, setup: DestinationSetup) -> tuple[str, Event]:
    """The newest event that a mapping is for, else the newest."""
    mappings = Route(tool, setup).mappings
    newest = None
    for source, event in newest_events(journal):
        newest = newest or (source, event)
        if any(mapped.matches(event) for mapped in mappings):
            return source, event
    if newest is None:
        raise ConfigurationError("there is no event yet: send one, or give one to try with")
    return newest


def newest_events(journal: Journal) -> Iterator[tuple[str, Event]]:
    """(source, event) of the newest clean events, newest first; a bounded number of them."""
    found: list[Record] = []
    for part in journal.partitions(EVENTS):
        end = journal.end(EVENTS, part)
        first = max(journal.start(EVENTS, part), end - _LOOKED_AT)
        while first < end:
            reading = journal.read(EVENTS, part, first, end - first)
            for block in reading.blocks:
                found += _decode(block.body)
            if reading.next <= first:
                break
            first = reading.next
    found.sort(key=lambda record: record.received_us, reverse=True)
    for record in found[:_LOOKED_AT]:
        yield record.source, msgspec.json.decode(record.payload)


def _dry(ground: _Ground, planned: Planned) -> Attempt:
    call = ground.call(planned)
    try:
        built = perform_dry(planned.mapped.action, call)
    except Skipped as error:
        return _attempt(planned, Outcome(0, "SKIPPED", str(error), skipped=True), [])
    except Refused as error:
        return _attempt(planned, Outcome(error.status, error.code, str(error)), [])
    shown = show_dry(ground.definition, call, built)
    return _attempt(planned, Outcome(0, "", "not sent"), shown)


def _attempt(planned: Planned, outcome: Outcome, requests: list[Exchange]) -> Attempt:
    return Attempt(
        planned.place % PLACES,
        planned.mapped.action.slug,
        planned.payload,
        requests,
        outcome.status,
        outcome.code,
        outcome.message,
        outcome.delivered,
    )
