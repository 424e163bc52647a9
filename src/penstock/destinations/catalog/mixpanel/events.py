"""Events and orders for Mixpanel's import endpoint.

Source: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.catalog.mixpanel.browsers import browser_of, version_of
from penstock.destinations.catalog.mixpanel.hosts import host
from penstock.destinations.contract import Call, Failure, Json, Payload, Refused, Request, Steps

__all__ = ["send_events", "send_purchases"]

_PROPERTIES = {
    "ip": "ip",
    "id": "distinct_id",
    "$anon_id": "anonymous_id",
    "distinct_id": "distinct_id",
    "$app_build_number": "app_build",
    "$app_version_string": "app_version",
    "$app_namespace": "app_namespace",
    "$app_name": "app_name",
    "$bluetooth_enabled": "bluetooth",
    "$cellular_enabled": "cellular",
    "$carrier": "carrier",
    "$current_url": "url",
    "$device": "device_name",
    "$device_id": "anonymous_id",
    "$device_type": "device_type",
    "$device_name": "device_name",
    "$group_id": "group_id",
    "$identified_id": "user_id",
    "$insert_id": "insert_id",
    "$ios_ifa": "idfa",
    "$lib_version": "library_version",
    "$locale": "language",
    "$manufacturer": "device_manufacturer",
    "$model": "device_model",
    "$os": "os_name",
    "$os_version": "os_version",
    "$referrer": "referrer",
    "$screen_height": "screen_height",
    "$screen_width": "screen_width",
    "$screen_density": "screen_density",
    "$user_id": "user_id",
    "$wifi_enabled": "wifi",
    "mp_country_code": "country",
    "advertising_id": "advertising_id",
    "ad_tracking_enabled": "ad_tracking_enabled",
    "timezone": "timezone",
    "app_platform": "app_platform",
    "event_original_name": "name",
}
_HINTS = ("mobile", "platform", "bitness", "platformVersion", "uaFullVersion", "wow64")
_OURS = {"time", "id", "$anon_id", "distinct_id", "$group_id", "$insert_id", "$user_id"}
"""Properties that an event can't set: they tell who, when and which."""
_OF_THE_ORDER = {
    "affiliation",
    "subtotal",
    "total",
    "revenue",
    "shipping",
    "tax",
    "discount",
    "coupon",
    "currency",
    "order_number",
    "products",
}
_STRICT = {"on": "1", "off": "0"}


def send_events(call: Call) -> Steps:
    """One request for all events."""
    return _import(call, [[_event(call, index)] for index in range(len(call.payloads))])


def send_purchases(call: Call) -> Steps:
    """As `send_events`, each order followed by one event for each of its products."""
    return _import(call, [_order(call, index) for index in range(len(call.payloads))])


def _import(call: Call, groups: list[list[Json]]) -> Steps:
    strict = _STRICT[call.settings["strictMode"]]
    events = [event for group in groups for event in group]
    try:
        yield Request("POST", f"{host(call.settings)}/import?strict={strict}", json=events)
    except Refused as error:
        failures = _failures(error, groups)
        if not failures:
            raise
        return failures
    return None


def _failures(error: Refused, groups: list[list[Json]]) -> Mapping[int, Failure]:
    """In strict mode a 400 names the events that were not taken; the others were."""
    told = error.answer.json() if error.answer and error.status == 400 else None
    records = told.get("failed_records") if isinstance(told, dict) else None
    owners = [index for index, group in enumerate(groups) for _ in group]
    return {
        owners[record["index"]]: Failure(400, str(record.get("message", error)), "NOT_IMPORTED")
        for record in records or ()
        if 0 <= record["index"] < len(owners)
    }


def _event(call: Call, index: int) -> Json:
    payload = call.payloads[index]
    properties = {
        "time": _milliseconds(call, payload),
        "distinct_id": "",
        "$insert_id": call.message_ids[index] if call.message_ids else call.new_id(),
        "$source": _source(payload),
        **renamed(payload, _PROPERTIES),
        **_browser(payload),
    }
    if payload.get("library_name"):
        properties["mp_lib"] = f"Segment Actions: {payload['library_name']}"
    if call.settings.get("sourceName"):
        properties["segment_source_name"] = call.settings["sourceName"]
    properties |= payload.get("utm_properties") or {}
    hints = payload.get("userAgentData") or {}
    properties |= {f"${name}": hints[name] for name in _HINTS if name in hints}
    properties |= _without(payload.get("event_properties") or {}, _OURS)
    return {"event": payload["event"], "properties": properties}


def _order(call: Call, index: int) -> list[Json]:
    payload = call.payloads[index]
    order = _event(call, index)
    if not payload.get("generatePurchaseEventPerProduct"):
        return [order]
    shared = _without(order["properties"], _OF_THE_ORDER)
    time, insert_id = _milliseconds(call, payload), order["properties"]["$insert_id"]
    bought = [
        {
            "event": "Product Purchased",
            "properties": {
                **shared,
                "$insert_id": f"{number}{insert_id}",
                "time": time - number - 1,
                **product,
            },
        }
        for number, product in enumerate(payload.get("products") or ())
    ]
    return [order, *bought]


def _milliseconds(call: Call, payload: Payload) -> int:
    when = instant(str(payload.get("time", ""))) or call.now
    return round(when.timestamp() * 1000)


def _source(payload: Payload) -> str:
    integration = (payload.get("context") or {}).get("integration")
    name = integration.get("name") if isinstance(integration, dict) else None
    return "Iterable" if name == "Iterable" else "segment"


def _browser(payload: Payload) -> dict[str, Json]:
    agent = payload.get("userAgent")
    if not agent:
        return {}
    version = version_of(agent)
    return {"$browser": browser_of(agent)} | ({"$browser_version": version} if version else {})


def _without(values: Mapping[str, Json], keys: set[str]) -> dict[str, Json]:
    return {key: value for key, value in values.items() if key not in keys}
