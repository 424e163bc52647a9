"""Events of profiles, and orders with an event for each product."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.catalog.klaviyo.requests import attributes, post
from penstock.destinations.contract import (
    Answer,
    Call,
    Failure,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Steps,
)

__all__ = ["order", "track"]

_WHO = ("external_id", "anonymous_id", "email", "phone_number")
_POINTER = re.compile(r"(?a)/data/attributes/events-bulk-create/data/(\d+)")
_OF_EVENT = ("value", "unique_id")


def track(call: Call) -> Steps:
    """One event alone, or several as a job."""
    if not call.batched and len(call.payloads) == 1:
        payload = call.payload
        profile = attributes(payload["profile"], _WHO)
        event = _event(payload, payload["metric_name"])
        yield post("events/", _with_profile(event, profile))
        return None
    made, failures = made_of_each(call, _bulk)
    if not made:
        return failures
    job = {
        "type": "event-bulk-create-job",
        "attributes": {"events-bulk-create": {"data": list(made.values())}},
    }
    try:
        yield post("event-bulk-create-jobs/", job, tuple(made))
    except Refused as refused:
        at_fault = _at_fault(refused.answer, tuple(made))
        if not at_fault:
            raise
        rest = Failure(429, "refused with other events of its batch", "RETRYABLE_BATCH_FAILURE")
        return failures | dict.fromkeys(made, rest) | at_fault
    return failures


def order(call: Call) -> Steps:
    """The order, then each product as an event that has the order's properties as well."""
    payload = call.payload
    profile = attributes(payload["profile"], _WHO)
    event = _event(payload, payload.get("event_name") or "Order Completed")
    taken = yield post("events/", _with_profile(event, profile))
    products = payload.get("products")
    if taken.status != 202 or not isinstance(products, list):
        return None
    shared = {key: value for key, value in event["properties"].items() if key != "products"}
    for product in products:
        one = {
            "properties": shared | product,
            "unique_id": call.new_id(),
            "metric": _metric(payload.get("product_event_name") or "Ordered Product"),
        }
        if "time" in event:
            one["time"] = event["time"]
        yield post("events/", _with_profile(one, profile))
    return None


def _bulk(payload: Payload) -> Json:
    profile = attributes(payload["profile"], _WHO)
    event = {"type": "event", "attributes": _event(payload, payload["metric_name"])}
    return {
        "type": "event-bulk-create",
        "attributes": {"profile": _profile(profile), "events": {"data": [event]}},
    }


def _event(payload: Payload, metric: str) -> dict[str, Json]:
    made = {"properties": payload["properties"], "metric": _metric(metric)}
    made |= {key: payload[key] for key in _OF_EVENT if key in payload}
    if payload.get("time"):
        made["time"] = _time(payload["time"])
    return made


def _with_profile(event: dict[str, Json], profile: Payload) -> Json:
    return {"type": "event", "attributes": {**event, "profile": _profile(profile)}}


def _profile(profile: Payload) -> Json:
    return {"data": {"type": "profile", "attributes": profile}}


def _metric(name: str) -> Json:
    return {"data": {"type": "metric", "attributes": {"name": name}}}


def _time(value: Json) -> str:
    """In UTC with milliseconds. A number counts milliseconds since 1970."""
    is_text = isinstance(value, str)
    when = instant(value) if is_text else datetime.fromtimestamp(value / 1000, UTC)
    if when is None:
        raise InvalidPayload(f"time: {value!r} is no point in time")
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _at_fault(answer: Answer | None, items: tuple[int, ...]) -> dict[int, Failure]:
    """The events that Klaviyo's answer points at."""
    body = answer.json() if answer is not None else None
    errors = body.get("errors") if isinstance(body, dict) else None
    found: dict[int, Failure] = {}
    for error in errors if isinstance(errors, list) else ():
        pointer = (error.get("source") or {}).get("pointer")
        place = _POINTER.match(pointer) if isinstance(pointer, str) else None
        if place is None or int(place[1]) >= len(items):
            continue
        status = error.get("status")
        known = status if isinstance(status, int) else 400
        failure = Failure(known, str(error.get("detail") or "refused"), str(error.get("code", "")))
        found.setdefault(items[int(place[1])], failure)
    return found
