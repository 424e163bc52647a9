"""Words the messages for Kafka, and the settings of its client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.destinations.contract import (
    Call,
    Failure,
    Payload,
    Refused,
    Settings,
    Steps,
    StreamSend,
)

__all__ = ["options", "send"]

Message = tuple[bytes | None, bytes, Mapping[str, str], int | None]


def send(call: Call) -> Steps:
    """One send for each topic; payloads without a topic are refused one by one."""
    settings = call.settings
    chosen = options(settings)
    topics: dict[str, list[int]] = {}
    failures: dict[int, Failure] = {}
    for at, payload in enumerate(call.payloads):
        topic = payload.get("topic") or settings.get("topic")
        if topic:
            topics.setdefault(str(topic), []).append(at)
        else:
            failures[at] = Failure(
                400, "no topic: set one in the destination or map one", "PAYLOAD_VALIDATION_FAILED"
            )
    for topic, items in topics.items():
        messages = tuple(_message(call, at) for at in items)
        try:
            yield StreamSend(settings["brokers"], topic, messages, chosen, tuple(items))
        except Refused as error:
            failures.update(dict.fromkeys(items, Failure(error.status, str(error), error.code)))
    return failures


def options(settings: Settings) -> dict[str, str]:
    """The client's settings, by librdkafka's names. Raises Refused for what can't work."""
    mechanism = settings.get("mechanism") or "none"
    tls = bool(settings.get("tls", True)) or mechanism == "client-cert-auth"
    chosen = {"client.id": settings.get("client_id") or "penstock"}
    sasl = mechanism in ("plain", "scram-sha-256", "scram-sha-512")
    chosen["security.protocol"] = ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")
    if sasl:
        chosen["sasl.mechanism"] = mechanism.upper()
        chosen["sasl.username"] = _needed(settings, "username", mechanism)
        chosen["sasl.password"] = _needed(settings, "password", mechanism)
    if mechanism == "client-cert-auth":
        chosen["ssl.certificate.pem"] = _needed(settings, "tls_certificate", mechanism)
        chosen["ssl.key.pem"] = _needed(settings, "tls_key", mechanism)
    if tls and settings.get("tls_ca"):
        chosen["ssl.ca.pem"] = settings["tls_ca"]
    if tls and settings.get("tls_verify") is False:
        chosen["enable.ssl.certificate.verification"] = "false"
    return chosen


def _message(call: Call, at: int) -> Message:
    payload = call.payloads[at]
    headers = {
        str(name): _text(value)
        for name, value in (payload.get("headers") or {}).items()
        if value is not None
    }
    if call.message_ids and call.message_ids[at]:
        headers.setdefault("messageId", call.message_ids[at])
    key = payload.get("key")
    return (
        None if key in (None, "") else str(key).encode(),
        msgspec.json.encode(payload.get("payload")),
        headers,
        _partition(payload),
    )


def _partition(payload: Payload) -> int | None:
    for field in ("partition", "default_partition"):
        value = payload.get(field)
        if value is not None:
            return int(value)
    return None


def _needed(settings: Settings, key: str, mechanism: str) -> str:
    value = settings.get(key)
    if not value:
        raise Refused(400, f"setting {key} is needed for {mechanism}", "INVALID_SETTINGS")
    return str(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
