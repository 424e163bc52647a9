"""Events as Datadog takes them."""

from __future__ import annotations

import json
from datetime import timedelta

from penstock.destinations.catalog.common.times import moment, unix_seconds
from penstock.destinations.contract import (
    Call,
    InvalidPayload,
    Json,
    Request,
    Settings,
    Steps,
)

__all__ = ["ALERT_TYPES", "SITES", "post_event", "root"]

ALERT_TYPES = (
    "error",
    "warning",
    "info",
    "success",
    "user_update",
    "recommendation",
    "snapshot",
)
SITES = {
    "datadoghq.com": "USA (US1)",
    "us3.datadoghq.com": "USA (US3)",
    "us5.datadoghq.com": "USA (US5)",
    "datadoghq.eu": "Europe (EU1)",
    "ap1.datadoghq.com": "Japan (AP1)",
    "ap2.datadoghq.com": "Australia (AP2)",
    "ddog-gov.com": "USA, for the government (US1-FED)",
    "us2.ddog-gov.com": "USA, for the government (US2-FED)",
}
_OLDEST = timedelta(hours=18)
_TEXT = 4000
_KEY = 100
_ALIKE = ("host", "device_name", "priority", "source_type_name", "related_event_id")


def root(settings: Settings) -> str:
    """The address of the site's API."""
    return f"https://api.{settings.get('site') or 'datadoghq.com'}/api/v1"


def post_event(call: Call) -> Steps:
    """One event of the stream, with the destination's tags before its own."""
    given = call.payload
    body: dict[str, Json] = {
        "title": given["title"],
        "text": _text(given.get("text", given["title"])),
        **{key: given[key] for key in _ALIKE if key in given},
    }
    kind = str(given.get("alert_type", "")).lower()
    if kind in ALERT_TYPES:
        body["alert_type"] = kind
    if "aggregation_key" in given:
        body["aggregation_key"] = given["aggregation_key"][:_KEY]
    if tags := _tags(call):
        body["tags"] = tags
    if "date_happened" in given:
        body["date_happened"] = _time(call)
    yield Request("POST", f"{root(call.settings)}/events", json=body)
    return None


def _text(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_TEXT]


def _tags(call: Call) -> list[str]:
    usual = (call.settings.get("tags") or "").split(",")
    tags = (tag.strip() for tag in (*usual, *call.payload.get("tags", ())) if tag)
    return list(dict.fromkeys(tag for tag in tags if tag))


def _time(call: Call) -> int:
    when = moment(call.payload["date_happened"])
    if when is None:
        raise InvalidPayload("date_happened is no time")
    if call.now - when > _OLDEST:
        raise InvalidPayload("Datadog takes no events older than 18 hours")
    return int(unix_seconds(when.isoformat()))
