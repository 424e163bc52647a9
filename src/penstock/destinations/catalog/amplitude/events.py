"""Events and orders for Amplitude.

Source: https://amplitude.com/docs/apis/analytics/http-v2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from penstock.destinations.catalog.amplitude.hosts import endpoint
from penstock.destinations.catalog.amplitude.people import (
    by_user_agent,
    campaign,
    joined,
    set_platform,
)
from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import (
    Call,
    Failure,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["milliseconds", "send_events", "send_orders"]

_MONEY = ("revenue", "price", "productId", "quantity", "revenueType")
_STEERING = {
    *_MONEY,
    "time",
    "session_id",
    "userAgent",
    "userAgentParsing",
    "includeRawUserAgent",
    "userAgentData",
    "min_id_length",
    "library",
    "library2",
}
_SETTING = {"setOnce": "$setOnce", "setAlways": "$set", "add": "$add"}
_OF_ORDERS = {"products", "trackRevenuePerProduct", "utm_properties", "referrer"}


def send_events(call: Call) -> Steps:
    """Events as they are, without revenue."""
    return _send(call, _event)


def send_orders(call: Call) -> Steps:
    """Orders with their revenue, each followed by an event for each product."""
    return _send(call, _order)


def milliseconds(value: str | float) -> int | None:
    """Milliseconds since 1970 of a date; numbers are taken as they are."""
    if isinstance(value, int | float):
        return int(value)
    when = instant(value)
    return None if when is None else round(when.timestamp() * 1000)


def _send(call: Call, make: Callable[[Payload], list[Json]]) -> Steps:
    groups = [make(payload) for payload in call.payloads]
    events = [event for group in groups for event in group]
    body: dict[str, Json] = {"api_key": call.settings["apiKey"], "events": events}
    least = call.payload.get("min_id_length")
    if least and least > 0:
        body["options"] = {"min_id_length": least}
    name = "batch" if call.payload.get("use_batch_endpoint") else "httpapi"
    try:
        yield Request("POST", endpoint(name, call.settings), json=body)
    except Refused as error:
        owners = [index for index, group in enumerate(groups) for _ in group]
        failures = _failures(error, owners)
        if len(failures) in (0, len(call.payloads)):
            raise
        return _with_untaken(failures, len(call.payloads))
    return None


def _failures(error: Refused, owners: list[int]) -> dict[int, Failure]:
    """A 400 says which events are invalid. None of the request was taken then."""
    told = error.answer.json() if error.answer and error.status == 400 else None
    if not isinstance(told, dict):
        return {}
    return {
        owners[position]: Failure(400, f"{problem}: {field}", "INVALID_EVENT")
        for problem in ("events_with_invalid_fields", "events_with_missing_fields")
        for field, positions in (told.get(problem) or {}).items()
        for position in positions
        if 0 <= position < len(owners)
    }


def _with_untaken(failures: Mapping[int, Failure], count: int) -> dict[int, Failure]:
    """The valid ones of a refused request are sent again, without the invalid ones."""
    again = Failure(503, "was sent together with invalid events; is sent again", "RETRY")
    return {index: failures.get(index, again) for index in range(count)}


def _event(payload: Payload) -> list[Json]:
    event = _base(payload, _STEERING | _SETTING.keys())
    for field, name in _SETTING.items():
        values = payload.get(field)
        if values and any(value != "" for value in values.values()):
            event["user_properties"] = {**event.get("user_properties", {}), name: values}
    return [{**by_user_agent(payload), **event, **_library(payload)}]


def _order(payload: Payload) -> list[Json]:
    event = _base(payload, _STEERING | _OF_ORDERS)
    told = campaign(payload)
    if told:
        own = event.get("user_properties") or {}
        kept = {k: v for k, v in own.items() if k not in ("utm_properties", "referrer")}
        event["user_properties"] = joined(*told, kept)
    products = payload.get("products") or []
    each = payload.get("trackRevenuePerProduct")
    whole = {} if products and each else _revenue(payload)
    order = {**by_user_agent(payload), **event, **whole, **_library(payload)}
    return [order, *_bought(payload, event, products)]


def _bought(payload: Payload, event: dict[str, Json], products: list[Json]) -> Iterator[Json]:
    for number, product in enumerate(products, start=2):
        own: dict[str, Json] = {"event_properties": product, "event_type": "Product Purchased"}
        if event.get("insert_id"):
            own["insert_id"] = f"{event['insert_id']}-{number}"
        revenue = _revenue(product) if payload.get("trackRevenuePerProduct") else {}
        yield {**event, **revenue, **own, **_library(payload)}


def _base(payload: Payload, without: set[str]) -> dict[str, Json]:
    event = {key: value for key, value in payload.items() if key not in without}
    set_platform(event, payload.get("library"))
    for key in ("time", "session_id"):
        value = payload.get(key)
        if value:
            digits = key == "session_id" and isinstance(value, str) and value.isdecimal()
            when = int(value) if digits else milliseconds(value)
            if when is not None:
                event[key] = when
    return event


def _revenue(item: Mapping[str, Json]) -> dict[str, Json]:
    revenue, price, quantity = (
        item.get("revenue"),
        _number(item.get("price")),
        _number(item.get("quantity")),
    )
    if price is not None and quantity is not None:
        revenue = price * quantity
    if not revenue:
        return {}
    told = {"revenue": revenue, "revenueType": item.get("revenueType") or "Purchase"}
    if quantity is not None:
        told["quantity"] = round(quantity)
    return told | renamed(item, {"price": "price", "productId": "productId"})


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _library(payload: Payload) -> dict[str, Json]:
    chosen = payload.get("library2") or {}
    if chosen.get("behavior") != "use_mapping":
        return {"library": "segment"}
    return renamed(chosen, {"library": "mapping"})
