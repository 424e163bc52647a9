"""Server events made of payloads, and their way to Facebook."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from penstock.destinations.catalog.common.items import failures_at, made_of_each
from penstock.destinations.catalog.common.places import CURRENCIES
from penstock.destinations.catalog.common.times import unix_seconds
from penstock.destinations.catalog.facebook_graph.access import GRAPH
from penstock.destinations.catalog.facebook_graph.people import app_data, user_data
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    Field,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Settings,
    Steps,
)

__all__ = ["builder"]

_DELIVERIES = ("in_store", "curbside", "home_delivery")
_CUSTOM = "Custom"

_Failures = Mapping[int, Failure]


def builder(
    name: str, shopping: Sequence[Field] = (), *, seconds: bool = False
) -> Callable[[Call], Steps]:
    """Sends events under one of Facebook's names; ``Custom``: under that of the payload.

    ``shopping`` are the fields of what was looked at or bought. ``seconds`` sends times as seconds
    since 1970, which is how Facebook keeps them; otherwise as they are given, ISO 8601 mostly,
    which it converts.
    """
    keys = tuple(field.key for field in shopping)

    def make(payload: Payload) -> dict[str, Json]:
        made = _event(name, keys, payload)
        return made | {"event_time": _seconds(made["event_time"])} if seconds else made

    def build(call: Call) -> Steps:
        made, failures = made_of_each(call, make)
        if made:
            failures |= yield from _send(call, made)
        return failures

    return build


def _event(name: str, shopping: Sequence[str], payload: Payload) -> dict[str, Json]:
    _check(name, payload)
    made = {
        "event_name": payload["event_name"] if name == _CUSTOM else name,
        "event_time": payload["event_time"],
        "action_source": payload["action_source"],
        "user_data": user_data(payload["user_data"]),
    }
    made |= _given(payload, ("event_source_url", "event_id"))
    if (app := app_data(payload.get("app_data_field"))) is not None:
        made["app_data"] = app
    if payload.get("data_processing_options"):
        made["data_processing_options"] = ["LDU"]
        for part in ("country", "state"):
            key = f"data_processing_options_{part}"
            made[key] = payload.get(key) or 0
    own = payload.get("custom_data")
    if shopping:
        others = {key: value for key, value in (own or {}).items() if key not in shopping}
        made["custom_data"] = others | _given(payload, shopping)
    elif name == _CUSTOM and own is not None:
        made["custom_data"] = own
    return made


def _seconds(text: str) -> int:
    try:
        return int(float(unix_seconds(text)))
    except ValueError:
        raise InvalidPayload(f"event_time is no time: {text[:40]}") from None


def _given(payload: Payload, keys: Sequence[str]) -> dict[str, Json]:
    return {key: payload[key] for key in keys if payload.get(key) is not None}


def _check(name: str, payload: Payload) -> None:
    if name not in (_CUSTOM, "PageView"):
        _check_shopping(name, payload)
    website = payload["action_source"] == "website" and name != _CUSTOM
    if website and payload["user_data"].get("client_user_agent") is None:
        raise InvalidPayload(
            "Facebook takes an event of a website only with client_user_agent; map it, or choose "
            "another action_source"
        )


def _check_shopping(name: str, payload: Payload) -> None:
    currency = payload.get("currency")
    if not currency:
        if name == "Purchase":
            raise InvalidPayload("a purchase needs a currency, such as EUR")
    elif currency not in CURRENCIES:
        raise InvalidPayload(
            f"{currency} is no currency of ISO 4217; give three capitals, such as EUR"
        )
    for index, item in enumerate(payload.get("contents") or ()):
        if not item.get("id"):
            raise InvalidPayload(f"contents[{index}] has no id")
        if item.get("delivery_category") and item["delivery_category"] not in _DELIVERIES:
            raise InvalidPayload(
                f"contents[{index}].delivery_category is not one of {', '.join(_DELIVERIES)}"
            )


def _send(call: Call, events: Mapping[int, Json]) -> Generator[BuiltRequest, Answer, _Failures]:
    """One request for all. Facebook refuses all for the fault of one, so a refused batch is halved
    until the faulty ones are alone."""
    shared = _shared(call)
    indices = tuple(events)
    try:
        yield _request(call.settings, [events[index] for index in indices], indices, shared)
    except Refused as error:
        if len(events) == 1 or error.status != 400:
            raise
    else:
        return {}
    return (yield from _halves(call.settings, events, indices, shared))


def _shared(call: Call) -> Payload:
    """What is said once for all events; equal in all payloads of a batch."""
    code = call.payload.get("test_event_code") or call.settings.get("testEventCode")
    shared = {"test_event_code": code, "upload_tag": call.payload.get("upload_tag")}
    return {key: value for key, value in shared.items() if value}


def _halves(
    settings: Settings, events: Mapping[int, Json], indices: Sequence[int], shared: Payload
) -> Generator[BuiltRequest, Answer, _Failures]:
    failures: dict[int, Failure] = {}
    middle = len(indices) // 2
    for half in (indices[:middle], indices[middle:]):
        try:
            yield _request(settings, [events[index] for index in half], tuple(half), shared)
        except Refused as error:
            if error.status == 400 and len(half) > 1:
                failures |= yield from _halves(settings, events, half, shared)
            else:
                failures |= failures_at(half, error)
    return failures


def _request(
    settings: Settings, events: list[Json], items: tuple[int, ...], shared: Payload
) -> Request:
    body = {"data": events, **shared}
    return Request("POST", f"{GRAPH}/{settings['pixelId']}/events", json=body, items=items)
