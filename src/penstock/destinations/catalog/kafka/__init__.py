"""Kafka: a message for each event."""

from __future__ import annotations

from penstock.destinations.catalog.kafka.send import send
from penstock.destinations.contract import (
    Action,
    Batch,
    Choice,
    Destination,
    Field,
    Preset,
    Setting,
)

__all__ = ["DESTINATION"]

_ALL = " or ".join(
    f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias")
)

DESTINATION = Destination(
    slug="kafka",
    name="Kafka",
    aliases=("Kafka (Actions)",),
    help="Sends each event as a JSON message. A message counts as delivered once all replicas "
    "that are in sync have it. The header `messageId` is the event's.",
    settings=(
        Setting(
            "brokers",
            "Brokers",
            help="host:port, several with commas. Their addresses, and those of the brokers they "
            "name, are checked when the connection is first made; the library resolves them again "
            "later, and that can't be checked.",
            required=True,
            pattern=r"[^,\s]+:\d+(\s*,\s*[^,\s]+:\d+)*",
            example="kafka.example.com:9092",
        ),
        Setting("topic", "Topic", help="For mappings that name none.", example="events"),
        Setting("client_id", "Client id", default="penstock"),
        Setting(
            "mechanism",
            "Authentication",
            default="none",
            choices=(
                Choice("none", "None"),
                Choice("plain", "PLAIN"),
                Choice("scram-sha-256", "SCRAM-SHA-256"),
                Choice("scram-sha-512", "SCRAM-SHA-512"),
                Choice("client-cert-auth", "Client certificate"),
            ),
        ),
        Setting("username", "User name", help="For PLAIN and SCRAM."),
        Setting("password", "Password", help="For PLAIN and SCRAM.", secret=True),
        Setting("tls", "TLS", "boolean", default=True),
        Setting(
            "tls_ca",
            "Certificate authority",
            "text",
            help="In PEM; those of the system, when empty.",
        ),
        Setting("tls_certificate", "Client certificate", "text", help="In PEM."),
        Setting("tls_key", "Key of the client certificate", "text", help="In PEM.", secret=True),
        Setting(
            "tls_verify",
            "Check certificates",
            "boolean",
            help="Off only to try something: anyone could then pose as the broker.",
            default=True,
        ),
    ),
    actions=(
        Action(
            "send",
            "Send",
            send,
            help="One message for each event.",
            trigger=_ALL,
            fields=(
                Field(
                    "payload",
                    "Message",
                    "object",
                    help="Sent as JSON. The whole event, unless you say otherwise.",
                    required=True,
                    default={"@path": "$."},
                ),
                Field("topic", "Topic", help="If another than the destination's."),
                Field(
                    "key",
                    "Key",
                    help="Messages of one key stay in order. The user's id, else the anonymous id.",
                    default={
                        "@if": {
                            "exists": {"@path": "$.userId"},
                            "then": {"@path": "$.userId"},
                            "else": {"@path": "$.anonymousId"},
                        }
                    },
                ),
                Field("headers", "Headers", "object", help="Values are sent as text."),
                Field(
                    "partition",
                    "Partition",
                    "integer",
                    help="By the key, unless you say otherwise.",
                    minimum=0,
                ),
                Field(
                    "default_partition",
                    "Partition otherwise",
                    "integer",
                    help="For events whose mapping gives no partition.",
                    minimum=0,
                ),
            ),
            batch=Batch(1000, bytes=1_000_000, keys=("topic",), wait=0.2),
            internal=("topic", "key", "headers", "partition", "default_partition"),
        ),
    ),
    presets=(Preset("Every event", "send"),),
    limits=("A message may be as large as the topic allows: 1 MB, unless it was raised.",),
    sources=(
        "https://segment.com/docs/connections/destinations/catalog/actions-kafka/",
        "https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md",
    ),
    extra="kafka",
)
