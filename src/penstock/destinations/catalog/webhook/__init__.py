"""Webhook: each event, or what a mapping makes of it, to an address of the user."""

from __future__ import annotations

from penstock.destinations.catalog.webhook.send import send
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

_METHODS = (Choice("POST"), Choice("PUT"), Choice("PATCH"))
_OWN = ("url", "method", "headers")
_ALL = " or ".join(
    f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias")
)

DESTINATION = Destination(
    slug="webhook",
    name="Webhook",
    aliases=("Webhooks", "Webhooks (Actions)", "Webhook (Actions)"),
    help="Sends events as JSON to an address of yours. Each request has `X-Penstock-Message-Id`, "
    "the id of its (first) event: the same event may arrive more than once and then has the same "
    "id. With a shared secret, `X-Penstock-Signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of "
    "`<seconds>.<body>`; `X-Signature` is the HMAC-SHA1, in hex, of the JSON of the event, of a "
    "batch that of its first. Any 2xx answer within the timeout means that it arrived.",
    settings=(
        Setting(
            "url",
            "Address",
            help="Where events are sent, beginning with https:// or http://.",
            required=True,
            pattern="https?://.+",
            example="https://example.com/hook",
        ),
        Setting("method", "Method", default="POST", choices=_METHODS),
        Setting(
            "headers",
            "Headers",
            "object",
            help="Sent with each request, such as one that authorises.",
            secret=True,
        ),
        Setting(
            "shared_secret",
            "Shared secret",
            help="Signs each request, so that the receiver can tell that it is yours.",
            secret=True,
        ),
    ),
    actions=(
        Action(
            "send",
            "Send",
            send,
            help="One request for each event or, when batching, one with a list of events. Fields "
            "of your own are laid over the body.",
            trigger=_ALL,
            fields=(
                Field(
                    "data",
                    "Body",
                    "object",
                    help="Sent as JSON. The whole event, unless you say otherwise.",
                    default={"@path": "$."},
                ),
                Field("url", "Address", help="Where this mapping sends to, if elsewhere."),
                Field("method", "Method", choices=_METHODS, help="If another than above."),
                Field("headers", "Headers", "object", help="Added to those of the destination."),
            ),
            batch=Batch(1000, bytes=8_000_000, keys=_OWN, on=False),
            internal=_OWN,
            open=True,
        ),
    ),
    presets=(Preset("Every event", "send"),),
    test_mode="Use an address that only shows what arrives.",
    limits=(
        "A request is given up after 10 seconds, unless the destination has another timeout.",
        "A batch holds at most 1,000 events or 8 MB, unless the mapping has another batch size.",
        "Redirects with 307 and 308 are followed; to another host, without your headers.",
    ),
    sources=("https://segment.com/docs/connections/destinations/catalog/actions-webhook/",),
)
