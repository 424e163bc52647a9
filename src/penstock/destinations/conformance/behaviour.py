"""Whether a definition words requests as it must, whatever the event and whatever is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.destinations.contract import (
    Action,
    Answer,
    BuiltRequest,
    Call,
    Destination,
    Failure,
    Payload,
    Refused,
    Request,
    Skipped,
)
from penstock.destinations.model import DestinationSetup, MappingSetup
from penstock.destinations.route import Event, Route
from penstock.destinations.routed import Mapped
from penstock.destinations.sending.dry import is_accepted, refused_by

__all__ = ["behaviour_faults"]

_NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
_MOST_REQUESTS = 1_000
_ANSWERS = {
    "200 {}": Answer(200, {"content-type": "application/json"}, b"{}"),
    "200 without a body": Answer(200),
    "200 and a list": Answer(200, {}, b'[{"id": null}]'),
    "400": Answer(400, {}, b'{"errors": [{"message": "no"}]}'),
    "429": Answer(429, {"retry-after": "1"}, b"slow down"),
    "503": Answer(503, {}, b"<html>"),
}


@dataclass(frozen=True)
class _Run:
    requests: list[BuiltRequest]
    problem: str = ""


def behaviour_faults(
    definition: Destination, settings: Mapping[str, Any], events: Sequence[Event]
) -> list[str]:
    """What goes wrong with those events; a fault of one kind and mapping is told once."""
    found: dict[str, None] = {}
    by_itself = 0
    for name, mapping in _mappings(definition):
        setup = DestinationSetup("example", definition.slug, settings=dict(settings),
                                 mappings=(mapping,))  # fmt: skip
        route = Route(definition, setup)
        payloads: list[Payload] = []
        for given in events:
            event = {**given, "integrations": {**given.get("integrations", {}), "example": True}}
            before = deepcopy(event)
            made = [planned.payload for planned in route(event, "example").planned]
            if event != before:
                found[f"{name}: the event itself is changed"] = None
            payloads += made
        for group in _groups(route.mappings[0], payloads):
            sent = _try(definition, route.mappings[0], settings, group, name, found)
            by_itself += sent if name.startswith("presets.") else 0
    if definition.presets and not by_itself:
        found["presets: no event of the suite leads to a request; give events that do"] = None
    return list(found)


def _mappings(definition: Destination) -> Iterator[tuple[str, MappingSetup]]:
    for preset in definition.presets:
        yield f"presets.{preset.name}", MappingSetup(
            action=preset.action, trigger=preset.trigger, fields=dict(preset.fields),
            sync_mode=preset.sync_mode,
        )  # fmt: skip
    for action in definition.actions:
        for mode in action.sync_modes or ("",):
            name = f"actions.{action.slug}" + (f" ({mode})" if mode else "")
            trigger = action.trigger or 'type != "none"'
            yield name, MappingSetup(action=action.slug, trigger=trigger, sync_mode=mode)


def _groups(mapped: Mapped, payloads: list[Payload]) -> Iterator[list[Payload]]:
    yield from ([payload] for payload in payloads)
    batch = mapped.action.batch
    if batch is None:
        return
    by_keys: dict[bytes, list[Payload]] = {}
    for payload in payloads:
        by_keys.setdefault(
            msgspec.json.encode([payload.get(key) for key in batch.keys]), []
        ).append(payload)
    for group in by_keys.values():
        yield group[: batch.size]


def _try(
    definition: Destination,
    mapped: Mapped,
    settings: Mapping[str, Any],
    payloads: list[Payload],
    name: str,
    found: dict[str, None],
) -> int:
    """How many requests there are when all goes well."""
    first = None
    for told, answer in _ANSWERS.items():
        run = _run(mapped, settings, payloads, answer)
        first = first or run
        if run.problem:
            found[f"{name}, answered {told}: {run.problem}"] = None
        for request in run.requests:
            for fault in _of_request(definition, settings, request, len(payloads)):
                found[f"{name}: {fault}"] = None
    assert first is not None
    if _run(mapped, settings, payloads, _ANSWERS["200 {}"]).requests != first.requests:
        found[f"{name}: words the same otherwise the second time; use call.now, call.new_id"] = None
    return len(first.requests)


def _run(
    mapped: Mapped, settings: Mapping[str, Any], payloads: list[Payload], answer: Answer
) -> _Run:
    given = dict(deepcopy(settings))
    ids = iter(range(_MOST_REQUESTS * 100))
    call = Call(
        deepcopy(payloads), given, _NOW,
        lambda: f"00000000-0000-4000-8000-{next(ids):012}",
        mapped.sync_mode, [f"m{number}" for number in range(len(payloads))],
        batched=len(payloads) > 1,
    )  # fmt: skip
    requests: list[BuiltRequest] = []
    try:
        problem = _drive(mapped.action, call, answer, requests)
    except (Refused, Skipped):
        problem = ""
    except Exception as error:  # noqa: BLE001 - a bug of the definition may raise anything
        problem = f"raises {type(error).__name__}: {error}; only Refused, its kinds and Skipped"
    if given != settings:
        problem = "the settings are changed"
    return _Run(requests, problem)


def _drive(action: Action, call: Call, answer: Answer, requests: list[BuiltRequest]) -> str:
    steps = action.build(call)
    try:
        built = next(steps)
        while len(requests) < _MOST_REQUESTS:
            requests.append(built)
            if is_accepted(built, answer):
                built = steps.send(answer)
            else:
                built = steps.throw(refused_by(answer))
    except StopIteration as done:
        return _of_result(done.value, len(call.payloads))
    finally:
        steps.close()
    return f"does not end after {_MOST_REQUESTS} requests"


def _of_result(value: Any, count: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, Mapping) or any(
        not isinstance(failure, Failure) for failure in value.values()
    ):
        return "returns something other than None or failures by index"
    return "" if all(index in range(count) for index in value) else "names payloads there are not"


def _of_request(
    definition: Destination, settings: Mapping[str, Any], request: BuiltRequest, count: int
) -> Iterator[str]:
    if request.items is not None and any(index not in range(count) for index in request.items):
        yield "a request carries payloads there are not"
    if not isinstance(request, Request):
        return
    if definition.authorize is not None:
        request = definition.authorize(request, settings, "token")
    address = urlsplit(request.url)
    if address.scheme not in ("https", "http") or not address.hostname:
        yield f"{request.url!r} is no address"
    if not request.method.isupper():
        yield f"the method {request.method!r} is not in capitals"
    if sum(body is not None for body in (request.json, request.form, request.body)) > 1:
        yield "a request has several bodies"
    texts = [text for pair in (*request.headers.items(), *(request.query or {}).items())
             for text in pair]  # fmt: skip
    if any(not isinstance(text, str) for text in texts):
        yield "headers and query hold texts only"
    elif any("\n" in text or "\r" in text for pair in request.headers.items() for text in pair):
        yield "a header has a line break"
    try:
        msgspec.json.encode(request.json)
    except (TypeError, ValueError) as error:
        yield f"a body can't be written as JSON: {error}"
