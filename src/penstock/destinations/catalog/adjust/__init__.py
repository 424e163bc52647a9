"""Adjust: events of apps, for attributing them to advertising."""

from __future__ import annotations

import json
from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped, renamed
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import (
    Action,
    Call,
    Choice,
    Destination,
    Field,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Setting,
    Settings,
    Steps,
)

__all__ = ["DESTINATION"]

_APPLE = frozenset({"ios", "ipados", "tvos", "watchos"})
_DEVICE = {
    "apple": {"idfa": "advertising_id", "idfv": "device_id"},
    "android": {"gps_adid": "advertising_id", "android_id": "device_id"},
}


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    if not settings.get("s2s_token"):
        return request
    bearer = {"Authorization": f"Bearer {settings['s2s_token']}"}
    return replace(request, headers={**request.headers, **bearer})


def _send(call: Call) -> Steps:
    payload = call.payload
    told: dict[str, Json] = {
        "app_token": _token(payload, call.settings, "app_token"),
        "event_token": _token(payload, call.settings, "event_token"),
        "s2s": "1",
        "environment": call.settings["environment"],
        "created_at_unix": str(_seconds(payload, call)),
        **_device(payload),
        **renamed(payload, {"ip_address": "ip_address", "user_agent": "user_agent"}),
    }
    if payload.get("revenue") is not None:
        told["revenue"] = str(payload["revenue"])
        told["currency"] = payload.get("currency") or "USD"
    for key in ("callback_params", "partner_params"):
        if payload.get(key):
            told[key] = json.dumps({name: _text(value) for name, value in payload[key].items()})
    yield Request("POST", "https://s2s.adjust.com/event", form=told)
    return None


def _token(payload: Payload, settings: Settings, key: str) -> str:
    found = payload.get(key) or settings.get(f"default_{key}")
    if not found:
        raise InvalidPayload(f"Adjust needs a token: map {key}, or set default_{key}")
    return str(found)


def _seconds(payload: Payload, call: Call) -> int:
    text = str(payload.get("timestamp") or "")
    when = instant(text) if text else call.now
    if when is None:
        raise InvalidPayload(f"timestamp is no time, such as 2024-05-03T10:20:00Z: {text[:40]}")
    return int(when.timestamp() + 0.5)


def _device(payload: Payload) -> dict[str, Json]:
    kind = payload["device_type"].lower()
    names = _DEVICE["apple" if kind in _APPLE else kind] if kind in _APPLE | {"android"} else None
    if names is None:
        raise InvalidPayload(f"Adjust knows devices of ios and android, not {kind[:40]}")
    known = {name: payload[field] for name, field in names.items() if payload.get(field)}
    if not known:
        raise InvalidPayload("Adjust needs the device: map advertising_id or device_id")
    return known


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_FIELDS = (
    mapped("timestamp", "Time", "timestamp"),
    Field("app_token", "App token", help="Goes before that of the settings."),
    Field("event_token", "Event token", help="Goes before that of the settings."),
    mapped("device_type", "Device", "context.device.type", help="ios or android.", required=True),
    mapped("device_id", "Device id", "context.device.id", help="Sent as idfv or android_id."),
    mapped(
        "advertising_id",
        "Advertising id",
        "context.device.advertisingId",
        help="Sent as idfa or gps_adid.",
    ),
    mapped("ip_address", "IP address", "context.ip"),
    mapped("user_agent", "User agent", "context.userAgent"),
    mapped("revenue", "Revenue", "properties.revenue", type="number"),
    mapped("currency", "Currency", "properties.currency", help="USD when it is not given."),
    Field("callback_params", "Parameters for your callbacks", "object"),
    Field("partner_params", "Parameters for partners", "object"),
)

DESTINATION = Destination(
    slug="adjust",
    name="Adjust",
    aliases=("Adjust (Actions)",),
    help="Sends events of apps that Adjust's SDK has seen on the same device before.",
    website="https://www.adjust.com",
    settings=(
        Setting(
            "environment",
            "Environment",
            default="production",
            choices=(Choice("production", "Production"), Choice("sandbox", "Sandbox")),
        ),
        Setting("default_app_token", "App token", help="Of the app in Adjust.", secret=True),
        Setting("default_event_token", "Event token", secret=True),
        Setting("s2s_token", "S2S token", help="With S2S Security switched on.", secret=True),
    ),
    actions=(
        Action(
            "sendEvent",
            "Send event",
            _send,
            help="An event of an app.",
            trigger='type = "track" and event = "Conversion Completed"',
            fields=_FIELDS,
        ),
    ),
    sources=(
        "https://dev.adjust.com/en/api/s2s-api/",
        "https://dev.adjust.com/en/api/s2s-api/events/",
    ),
    authorize=_authorize,
    test_mode="Choose the environment sandbox; its events stay apart.",
    limits=(
        "A request may have 1 MB; one event a request.",
        "Nothing is sent before a mapping names the event's token: there are no presets.",
    ),
)
