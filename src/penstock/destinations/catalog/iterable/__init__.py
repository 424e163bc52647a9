"""Iterable: profiles, events, carts and orders."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.iterable.fields import (
    CART_FIELDS,
    EVENT_FIELDS,
    PURCHASE_FIELDS,
    USER_FIELDS,
)
from penstock.destinations.catalog.iterable.sending import (
    address,
    track_events,
    track_purchase,
    update_cart,
    update_users,
)
from penstock.destinations.contract import (
    Action,
    Batch,
    Choice,
    Destination,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_TOGETHER = Batch(size=1000, bytes=3_500_000)
_OTHER_EVENTS = 'type = "track" and event != "Order Completed" and event != "Cart Updated"'


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, headers={**request.headers, "Api-Key": settings["apiKey"]})


def _check(settings: Settings) -> Request:
    return Request("GET", address(settings, "webhooks"))


DESTINATION = Destination(
    slug="iterable",
    name="Iterable",
    aliases=("Iterable (Actions)",),
    help="Messages to customers: keeps profiles, events, carts and orders in Iterable. A user "
    "needs an e-mail or a user id.",
    website="https://iterable.com",
    settings=(
        Setting(
            "apiKey",
            "API key",
            help="Of the type Server-side, from Integrations, API keys.",
            required=True,
            secret=True,
            example="0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "dataCenterLocation",
            "Data centre",
            help="Where Iterable keeps your project.",
            default="united_states",
            choices=(Choice("united_states", "USA"), Choice("europe", "Europe")),
        ),
    ),
    actions=(
        Action(
            "updateUser",
            "Update a user",
            update_users,
            help="Creates or updates a profile.",
            trigger='type = "identify"',
            fields=USER_FIELDS,
            batch=replace(_TOGETHER, keys=("updateOnly",)),
            internal=("newEmail", "updateOnly"),
        ),
        Action(
            "trackEvent",
            "Track an event",
            track_events,
            help="Tells a custom event of a user.",
            trigger=_OTHER_EVENTS,
            fields=EVENT_FIELDS,
            batch=_TOGETHER,
        ),
        Action(
            "updateCart",
            "Update the cart",
            update_cart,
            help="Replaces the products in a user's cart.",
            trigger='type = "track" and event = "Cart Updated"',
            fields=CART_FIELDS,
        ),
        Action(
            "trackPurchase",
            "Track a purchase",
            track_purchase,
            help="Tells an order of a user and empties the cart.",
            trigger='type = "track" and event = "Order Completed"',
            fields=PURCHASE_FIELDS,
        ),
    ),
    presets=(
        Preset("Track calls", "trackEvent"),
        Preset("Identify calls", "updateUser"),
        Preset("Cart updated", "updateCart"),
        Preset("Order completed", "trackPurchase"),
    ),
    sources=(
        "https://api.iterable.com/api/docs",
        "https://support.iterable.com/hc/en-us/articles/41044692130196-Getting-Started-with-Iterable-s-API",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the API key of a test project.",
    limits=(
        "Batches: 5 requests a second for users and 10 for events, of at most 4 MB; 1,000 "
        "users or events go together. Beyond, Iterable answers 429 and they are tried again.",
        "Of a batch Iterable names the e-mails, user ids and event names that it did not take: "
        "only those events fail.",
    ),
    timeout=30.0,
)
