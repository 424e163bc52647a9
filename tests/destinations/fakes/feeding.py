"""Events through a tool's mappings into its strict fake, and requests made wrong on purpose."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.destinations.contract import Answer, Call, Destination, InvalidPayload, Request
from penstock.destinations.fql import compile_trigger
from penstock.destinations.model import DestinationSetup, MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings, check_setup, mappings_of
from tests.destinations.fakes.strict import NOW, Driven, Fake, Wrong, drive

__all__ = ["GONE", "Fed", "basic", "changed", "feed", "refusal"]

Json = Any
GONE = object()
"""Instead of a value: the key is taken away."""
NEW_ID = "00000000-0000-4000-8000-000000000000"


@dataclass
class Fed:
    """What became of events."""

    driven: list[tuple[str, Driven]] = field(default_factory=list)
    """The action, and what became of the call, for each payload that a mapping made."""
    invalid: list[str] = field(default_factory=list)
    """What was wrong with events that no payload could be made of."""

    @property
    def requests(self) -> list[Request]:
        """All, in order."""
        return [request for _, driven in self.driven for request in driven.requests]

    @property
    def refusals(self) -> list[str]:
        """What the fake found wrong."""
        return [said for _, driven in self.driven for said in driven.refusals]

    @property
    def errors(self) -> list[str]:
        """What ``build`` refused of its own accord."""
        return [str(each.error) for _, each in self.driven if each.error and not each.refusals]

    def sent(self, action: str) -> list[Driven]:
        """The calls of that action that the fake took."""
        return [each for name, each in self.driven if name == action and each.error is None]


def feed(
    definition: Destination,
    settings: Mapping[str, Json],
    events: Iterable[dict[str, Json]],
    fake: Fake,
    mappings: Sequence[MappingSetup] | None = None,
    token: str = "",
) -> Fed:
    """Send each event through each mapping that takes it; ``mappings`` None: the presets."""
    chosen = None if mappings is None else tuple(mappings)
    setup = DestinationSetup("fed", definition.slug, settings=dict(settings), mappings=chosen)
    check_setup(definition, setup)
    filled = check_settings(definition, settings)
    ways = []
    for mapping in mappings_of(definition, setup):
        action = definition.action(mapping.action)
        trigger = compile_trigger(mapping.trigger or action.trigger)
        mode = mapping.sync_mode or next(iter(action.sync_modes), "")
        ways.append((action.slug, trigger, compile_payload(action, mapping.fields), mode))
    fed = Fed()
    for event in events:
        for slug, trigger, payload, mode in ways:
            if not trigger(event):
                continue
            try:
                made = payload(event)
            except InvalidPayload as error:
                fed.invalid.append(str(error))
                continue
            ids = (event["messageId"],)
            call = Call([made], filled, NOW, lambda: NEW_ID, mode, ids)
            fed.driven.append((slug, drive(definition, slug, call, fake, token)))
    return fed


def changed(request: Request, place: str, value: Json) -> Request:
    """The same request with another value in its JSON or form, at ``a.b.0.c``."""
    body: Json = copy.deepcopy(request.json if request.form is None else dict(request.form))
    inner: Json = body
    *way, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    for key in way:
        inner = inner[key]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return replace(request, json=body) if request.form is None else replace(request, form=body)


def refusal(fake: Fake, request: Request) -> str:
    """Why the fake refuses it; empty when it takes it."""
    try:
        answer: Answer = fake(request)
    except Wrong as wrong:
        return str(wrong)
    return "" if answer.status < 400 else str(answer.status)


def basic(user: str, password: str) -> str:
    """The header of basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
