"""What of an event goes to a destination, and why some does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    InvalidPayload,
    Skipped,
)
from penstock.destinations.filters import compile_filters
from penstock.destinations.fql import compile_trigger
from penstock.destinations.model import DestinationSetup, MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.routed import (
    BY_CONSENT,
    BY_FUNCTION,
    BY_INTEGRATIONS,
    BY_RULES,
    CLIENT_SIDE,
    FUNCTION,
    NO_MAPPING,
    NOT_MAPPED,
    OTHER_SOURCE,
    PLACES,
    Mapped,
    NotPassed,
    Planned,
    Routed,
    Unsendable,
)
from penstock.destinations.setup import mappings_of

__all__ = ["Event", "Functions", "Planned", "Route", "Routed", "Unsendable"]

_OWN_SOURCE = "penstock"
"""Source of the notices of audiences and traits."""
_CONSENT_CHANGED = "Segment Consent Preference Updated"
Event = dict[str, Any]


class Functions(Protocol):
    """The functions of a destination, one after the other."""

    def __call__(self, event: Event) -> list[Event]:
        """What they make of an event. Raises NotPassed, and NotYet: ask again later."""

    def prepare(self, event: Event) -> None:
        """The same will be asked for soon."""


class Route:
    """The way of an event into a destination; pure, compiled once for a setup.

    Raises ConfigurationError when the setup can't be used.
    """

    def __init__(
        self,
        definition: Destination,
        setup: DestinationSetup,
        *,
        functions: Functions | None = None,
    ) -> None:
        """``functions`` makes of an event those that go on, before the mappings; none: dropped."""
        self.mappings = [
            mapped
            for place, mapping in enumerate(mappings_of(definition, setup))
            if mapping.enabled and (mapped := _compiled(definition, place, mapping))
        ]
        self._sources = None if setup.sources is None else frozenset(setup.sources)
        self._by_default = not definition.off_by_default
        self._slug = setup.slug
        self._own_name = (setup.name,) if setup.name else ()
        self._names = (definition.name, *definition.aliases)
        self._consent = setup.consent
        self._filter = compile_filters(setup.filters)
        self._functions = functions

    def __call__(self, event: Event, source: str) -> Routed:
        """What to send of an event, which is not changed."""
        if not self._is_connected(event, source):
            return _OTHER_SOURCE
        reason = self._kept_out(event)
        if reason is not None:
            return reason
        passed = self._filter(event)
        if passed is None:
            return _BY_RULES
        if self._functions is None:
            return self._mapped(passed, 0)
        try:
            events = self._functions(passed)
        except NotPassed as error:
            return Routed((), [Unsendable(0, FUNCTION, error.code, str(error), False, error.later)])
        if not events:
            return _BY_FUNCTION
        return self._all_mapped(events)

    def prepare(self, event: Event, source: str) -> None:
        """Let the functions begin with an event that will be asked for soon."""
        if self._functions is None or not self._is_connected(event, source):
            return
        if self._kept_out(event) is None and (passed := self._filter(event)) is not None:
            self._functions.prepare(passed)

    def _all_mapped(self, events: Sequence[Event]) -> Routed:
        made = [self._mapped(one, number * PLACES) for number, one in enumerate(events)]
        planned = [one for routed in made for one in routed.planned]
        unsendable = [one for routed in made for one in routed.unsendable]
        if planned or unsendable:
            return Routed(planned, unsendable)
        return made[0]

    def replayed(self, event: Event) -> Event:
        """The event as a replay sends it: addressed to this destination alone, consent kept.

        A notice of an audience or trait stays addressed to those that were chosen for it.
        """
        if _is_notice(event):
            return event
        return {**event, "integrations": {"All": False, self._slug: True}}

    def _is_connected(self, event: Event, source: str) -> bool:
        """Penstock's own notices need no connection: they name the destinations they are for."""
        if self._sources is None or source in self._sources:
            return True
        flags = event.get("integrations") if source == _OWN_SOURCE else None
        return isinstance(flags, dict) and flags.get(self._slug, False) not in (False, None)

    def _kept_out(self, event: Event) -> Routed | None:
        if not self._is_wanted(event.get("integrations")):
            return _BY_INTEGRATIONS
        metadata = event.get("_metadata")
        if metadata and self._was_sent(metadata):
            return _CLIENT_SIDE
        if self._consent and not _consents(event, self._consent):
            return _BY_CONSENT
        return None

    def _is_wanted(self, integrations: Any) -> bool:
        """The flag of its slug, else its name, else the tool's, else ``All``, else the default."""
        if not integrations or not isinstance(integrations, dict):
            return self._by_default
        for name in (self._slug, *self._own_name, *self._names):
            flag = integrations.get(name)
            if flag is not None:
                return flag is not False
        if integrations.get("All", integrations.get("all")) is False:
            return False
        return self._by_default

    def _was_sent(self, metadata: Any) -> bool:
        bundled = metadata.get("bundled") if isinstance(metadata, dict) else None
        if not isinstance(bundled, list):
            return False
        return self._slug in bundled or any(name in bundled for name in self._names)

    def _mapped(self, event: Event, offset: int) -> Routed:
        planned: list[Planned] = []
        unsendable: list[Unsendable] = []
        for mapped in self.mappings:
            if not mapped.matches(event):
                continue
            place = offset + mapped.place
            try:
                planned.append(Planned(place, mapped, mapped.make(event)))
            except InvalidPayload as error:
                unsendable.append(Unsendable(place, mapped, error.code, str(error), False))
            except Skipped as error:
                unsendable.append(Unsendable(place, mapped, NOT_MAPPED, str(error), True))
        if planned or unsendable:
            return Routed(planned, unsendable)
        return _NO_MAPPING


_OTHER_SOURCE = Routed(reason=OTHER_SOURCE)
_BY_INTEGRATIONS = Routed(reason=BY_INTEGRATIONS)
_BY_CONSENT = Routed(reason=BY_CONSENT)
_BY_RULES = Routed(reason=BY_RULES)
_BY_FUNCTION = Routed(reason=BY_FUNCTION)
_CLIENT_SIDE = Routed(reason=CLIENT_SIDE)
_NO_MAPPING = Routed(reason=NO_MAPPING)


def _is_notice(event: Event) -> bool:
    context = event.get("context")
    personas = context.get("personas") if isinstance(context, dict) else None
    flags = event.get("integrations")
    chosen = isinstance(flags, dict) and flags.get("All") is False
    return chosen and isinstance(personas, dict) and "computation_key" in personas


def _compiled(definition: Destination, place: int, mapping: MappingSetup) -> Mapped:
    action = definition.action(mapping.action)
    sync_mode = mapping.sync_mode or (action.sync_modes[0] if action.sync_modes else "")
    return Mapped(
        place,
        action,
        sync_mode,
        _batch(action, mapping),
        compile_trigger(mapping.trigger or action.trigger),
        compile_payload(action, mapping.fields),
    )


def _batch(action: Action, mapping: MappingSetup) -> Batch | None:
    batch = action.batch
    if batch is None or not (batch.on if mapping.batching is None else mapping.batching):
        return None
    size = mapping.batch_size or batch.size
    return replace(batch, size=size) if size > 1 else None


def _consents(event: Event, categories: Sequence[str]) -> bool:
    """Whether all categories are granted; an event that says nothing of consent is not held back.

    Nor is the event that tells of a change of consent.
    """
    context = event.get("context")
    consent = context.get("consent") if isinstance(context, dict) else None
    if consent is None or event.get("event") == _CONSENT_CHANGED:
        return True
    granted = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if not isinstance(granted, Mapping):
        return False
    return all(granted.get(category) is True for category in categories)
