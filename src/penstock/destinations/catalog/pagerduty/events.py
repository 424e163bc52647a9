"""Alert and change events as PagerDuty takes them."""

from __future__ import annotations

from datetime import timedelta

from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Request, Steps

__all__ = ["SEVERITIES", "send_alert", "send_change"]

SEVERITIES = ("critical", "error", "warning", "info")
_FOLLOW_UPS = ("acknowledge", "resolve")
_HOSTS = {"EU": "https://events.eu.pagerduty.com"}
_KEPT = timedelta(days=90)
_SUMMARY = 1024
_DETAILS = ("component", "group", "class", "custom_details")


def send_alert(call: Call) -> Steps:
    """Trigger an alert, or follow up on the one with the same key."""
    given = call.payload
    action = _one_of(given.get("event_action"), _FOLLOW_UPS, "trigger")
    key = given.get("dedup_key")
    if action in _FOLLOW_UPS:
        if not key:
            raise InvalidPayload(f"to {action} an alert, dedup_key must say which")
        body: dict[str, Json] = {"dedup_key": key}
    else:
        body = {"dedup_key": key or _own_key(call), "payload": _problem(call)}
        body |= {name: given[name] for name in ("client", "client_url") if name in given}
        body |= _context(given, "links", "images")
    yield _request(call, "/v2/enqueue", body | {"event_action": action})
    return None


def send_change(call: Call) -> Steps:
    """Tell a change; PagerDuty keeps none older than 90 days."""
    payload = _told(call, "source", "custom_details")
    when = moment(payload.get("timestamp"))
    if when is not None and call.now - when > _KEPT:
        raise InvalidPayload("PagerDuty keeps no changes older than 90 days")
    yield _request(
        call, "/v2/change/enqueue", {"payload": payload} | _context(call.payload, "links")
    )
    return None


def _request(call: Call, path: str, body: dict[str, Json]) -> Request:
    host = _HOSTS.get(call.settings.get("region", ""), "https://events.pagerduty.com")
    return Request("POST", host + path, json=body | {"routing_key": call.settings["routing_key"]})


def _own_key(call: Call) -> str:
    """The event's id: sent again, it opens no second alert."""
    return call.message_ids[0] if call.message_ids else call.new_id()


def _problem(call: Call) -> dict[str, Json]:
    usual = call.settings.get("severity") or SEVERITIES[0]
    source = call.payload.get("source") or call.settings.get("source")
    if not source:
        raise InvalidPayload("source is missing: map it, or set it in the destination")
    severity = _one_of(call.payload.get("severity"), SEVERITIES, usual)
    return _told(call, *_DETAILS) | {"source": source, "severity": severity}


def _told(call: Call, *names: str) -> dict[str, Json]:
    given = call.payload
    made = {name: given[name] for name in names if name in given}
    made["summary"] = given["summary"][:_SUMMARY]
    if (when := moment(given.get("timestamp"))) is not None:
        made["timestamp"] = when.isoformat()
    return made


def _one_of(value: Json, choices: tuple[str, ...], otherwise: str) -> str:
    return value.lower() if isinstance(value, str) and value.lower() in choices else otherwise


def _context(given: Payload, *names: str) -> dict[str, Json]:
    """Links and images; one that PagerDuty would refuse is left out, the alert matters more."""
    needed = {"links": "href", "images": "src"}
    made: dict[str, Json] = {}
    for name in names:
        start = "https://" if name == "images" else "http"
        fit = [
            each for each in given.get(name) or () if each.get(needed[name], "").startswith(start)
        ]
        if fit:
            made[name] = fit
    return made
