"""Words the request of a webhook, and signs it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from penstock.destinations.contract import Call, InvalidPayload, Payload, Request, Steps

__all__ = ["send"]

_DECLARED = frozenset({"data", "url", "method", "headers"})


def send(call: Call) -> Steps:
    """One request with the payload's data, or the list of them when batching."""
    payload, settings = call.payload, call.settings
    bodies = [_data(each) for each in call.payloads]
    batched = call.batched or len(bodies) > 1
    body = msgspec.json.encode(bodies if batched else bodies[0])
    headers = {
        "Content-Type": "application/json",
        **_texts(settings.get("headers")),
        **_texts(payload.get("headers")),
    }
    if call.message_ids and call.message_ids[0]:
        headers["X-Penstock-Message-Id"] = call.message_ids[0]
    secret = settings.get("shared_secret")
    if secret:
        first = msgspec.json.encode(bodies[0]) if batched else body
        seconds = int(call.now.timestamp())
        headers["X-Signature"] = _digest("sha1", secret, first)
        signed = _digest("sha256", secret, b"%d.%s" % (seconds, body))
        headers["X-Penstock-Signature"] = f"t={seconds},v1={signed}"
    yield Request(
        payload.get("method") or settings.get("method") or "POST",
        payload.get("url") or settings["url"],
        headers,
        body=body,
    )
    return None


def _data(payload: Payload) -> Any:
    """The body, with the fields that the mapping has beside it laid over."""
    own = {key: value for key, value in payload.items() if key not in _DECLARED}
    data = payload.get("data")
    if data is None:
        return own
    if not own:
        return data
    if not isinstance(data, dict):
        raise InvalidPayload("data is no object: further fields can't be laid over it")
    return {**data, **own}


def _texts(headers: Any) -> dict[str, str]:
    """Header values as text; those that are null are left out."""
    return {str(name): _text(value) for name, value in (headers or {}).items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _digest(method: str, secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, getattr(hashlib, method)).hexdigest()
