"""Mails made from a dynamic template."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from penstock.destinations.catalog.common.times import instant
from penstock.destinations.catalog.sendgrid.regions import root
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Request, Steps

__all__ = ["send_mail"]

_RESERVED = frozenset(
    (
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    )
)
_AHEAD = timedelta(hours=72)


def send_mail(call: Call) -> Steps:
    """One mail to one person, with those in copy."""
    yield Request("POST", f"{root(call.settings)}/v3/mail/send", json=_mail(call))
    return None


def _mail(call: Call) -> dict[str, Json]:
    payload = call.payload
    sender = payload["from"]
    _check(payload, sender["email"])
    reply = payload.get("reply_to") or {}
    made: dict[str, Json] = {
        "personalizations": [_personal(payload, call.now)],
        "from": _address(sender["email"], sender.get("name")),
        "reply_to": _address(
            _first(reply.get("email"), sender["email"]),
            _first(reply.get("name"), sender.get("name")),
        ),
        "template_id": _template(payload["template_id"]),
    }
    made |= {key: payload[key] for key in ("categories", "ip_pool_name") if key in payload}
    group = payload.get("group_id")
    if group and (number := _group(group)) is not None:
        made["asm"] = {"group_id": number}
    if call.settings.get("sandbox"):
        made["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return made


def _personal(payload: Payload, now: datetime) -> dict[str, Json]:
    to = payload["to"]
    made: dict[str, Json] = {
        "to": [_address(to["email"], to.get("name"))],
        "headers": {key: _text(value) for key, value in (payload.get("headers") or {}).items()},
    }
    for copy in ("cc", "bcc"):
        people = [each for each in payload.get(copy) or () if (each.get("email") or "").strip()]
        if people:
            made[copy] = [_address(each["email"], each.get("name")) for each in people]
    if "dynamic_template_data" in payload:
        made["dynamic_template_data"] = payload["dynamic_template_data"]
    if own := payload.get("custom_args"):
        made["custom_args"] = {key: _text(value) for key, value in own.items()}
    if payload.get("send_at"):
        made["send_at"] = _due(payload["send_at"], now)
    return made


def _check(payload: Payload, sender: str) -> None:
    if payload.get("group_id") and _group(payload["group_id"]) is None:
        raise InvalidPayload("group_id is no number of an unsubscribe group")
    if payload.get("domain") and not sender.endswith(payload["domain"]):
        raise InvalidPayload(f"the sender's address is not of the domain {payload['domain']}")
    if not (_template(payload["template_id"]) or "").startswith("d-"):
        raise InvalidPayload("template_id is not that of a dynamic template, which begins with d-")
    taken = [key for key in payload.get("headers") or () if key.lower() in _RESERVED]
    if taken:
        raise InvalidPayload(f"SendGrid sets the header {taken[0]} itself")
    if any(len(each) > 255 for each in payload.get("categories") or ()):
        raise InvalidPayload("a category may have 255 characters")
    pool = payload.get("ip_pool_name")
    if pool and not 2 < len(pool) < 64:
        raise InvalidPayload("ip_pool_name has 3 to 63 characters")


def _due(text: str, now: datetime) -> int:
    when = instant(text)
    if when is None or not now <= when <= now + _AHEAD:
        raise InvalidPayload("send_at is not within the next 72 hours")
    return int(when.timestamp())


def _address(email: str, name: str | None) -> dict[str, str]:
    return {"email": email} if name is None else {"email": email, "name": name}


def _first(value: str | None, other: str | None) -> Json:
    return other if value is None else value


def _group(text: str) -> int | None:
    """The number at the start, or the one in brackets: ``Offers [123]``."""
    found = re.match(r"(?a)(\d+)", text) or re.search(r"(?a)\[(\d+)\]", text)
    return int(found[1]) if found else None


def _template(text: str) -> str | None:
    """``d-…`` at the start, or in brackets: ``Welcome [d-…]``."""
    if text.startswith("d-"):
        return text.split(" ")[0]
    found = re.search(r"\[(.*?)\]", text)
    return found[1] if found else None


def _text(value: Json) -> str:
    """As a browser writes a value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ",".join("" if each is None else _text(each) for each in value)
    if isinstance(value, dict):
        return "[object Object]"
    return "null" if value is None else str(value)
