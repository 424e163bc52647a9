"""Kochava: installs and events of apps, for attributing them to advertising."""

from __future__ import annotations

from functools import partial
from typing import Any

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.kochava.posts import RESERVED, link_identity, post
from penstock.destinations.contract import Action, Destination, Field, Preset, Setting

__all__ = ["DESTINATION"]

_IDS = (
    Field("kochava_app_id", "App GUID", help="Goes before that of the settings."),
    mapped("platform", "Platform", "context.device.type", "context.os.name"),
    mapped(
        "advertising_id",
        "Advertising id",
        "context.device.advertisingId",
        "context.device.advertising_id",
        help="Sent as idfa or adid.",
    ),
    mapped("device_id", "Device id", "context.device.id", help="Sent as idfv or android_id."),
    Field("idfa", "IDFA", help="This and the next three go before what the platform tells."),
    Field("idfv", "IDFV"),
    Field("adid", "Google advertising id"),
    Field("android_id", "Android id"),
)

_DEVICE = (
    mapped(
        "kochava_device_id",
        "Kochava device id",
        "integrations.Kochava.deviceId",
        "context.device.id",
        help="A text that stays the same for each install; its SDK makes one.",
    ),
    *_IDS,
    mapped("usertime", "Time", "timestamp", type="datetime"),
    mapped("origination_ip", "IP address", "context.ip"),
    mapped("device_ua", "User agent", "context.userAgent", help="Sent encoded as in a URL."),
    Field("device_ver", "Device version", help="Unless mapped, of the next three: A-iOS-17.1."),
    mapped("model", "Model", "context.device.model"),
    mapped("os_name", "Operating system", "context.os.name"),
    mapped("os_version", "Version of the system", "context.os.version"),
    mapped("app_version", "Version of the app", "context.app.version"),
    mapped(
        "ad_tracking_enabled",
        "May be followed",
        "context.device.adTrackingEnabled",
        type="boolean",
        help="Sent the other way round, as device_limit_tracking.",
    ),
    mapped(
        "att_status",
        "App Tracking Transparency",
        "context.device.attTrackingStatus",
        type="integer",
        help="3 means that the user agreed.",
    ),
    Field("att", "Agreed to be followed", "boolean", "Goes before the status."),
    Field("att_time", "When asked", "integer", "Seconds since 1970."),
    Field("att_duration", "Seconds until the answer", "number"),
    Field("att_detail", "Detail of the answer"),
)

_EVENT = (
    mapped("event_name", "Event name", "event", required=True),
    *_DEVICE,
    mapped("currency", "Currency", "properties.currency"),
    mapped("sum", "Revenue", "properties.revenue", type="number"),
    mapped("price", "Price", "properties.price", type="number"),
    mapped("quantity", "Quantity", "properties.quantity", type="number"),
    mapped("content_id", "Product id", "properties.product_id", "properties.sku"),
    mapped("content_name", "Product name", "properties.name"),
    mapped("user_id", "User id", "userId"),
    mapped("order_id", "Order id", "properties.order_id"),
    mapped("query", "Search", "properties.query"),
    Field(
        "products",
        "Products",
        "object",
        "Their ids and names are sent with commas between.",
        multiple=True,
        properties=nested("content_id content_name"),
        default={
            "@arrayPath": [
                "$.properties.products",
                {"content_id": either("product_id", "sku"), "content_name": path("name")},
            ]
        },
    ),
    mapped(
        "event_data",
        "Own properties",
        "properties",
        type="object",
        help=f"Without keys that Kochava uses itself: {', '.join(sorted(RESERVED))}.",
    ),
)

_INSTALLED = 'type = "track" and event = "Application Installed"'
_TOTAL: dict[str, Any] = {"sum": either("properties.revenue", "properties.total")}
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "Order Completed": ("Purchase", _TOTAL),
    "Product Added": ("Add to Cart", {}),
    "Product Added to Wishlist": ("Add to Wish List", {}),
    "Product Viewed": ("View", {}),
    "Product Reviewed": ("Rating", {}),
    "Products Searched": ("Search", {}),
    "Checkout Started": ("Checkout Start", _TOTAL),
    "Promotion Viewed": ("Ad View", {}),
    "Promotion Clicked": ("Ad Click", {}),
    "Signed Up": ("Registration Complete", {}),
    "Trial Started": ("Start Trial", {}),
    "Push Notification Received": ("Push Received", {}),
    "Push Notification Tapped": ("Push Opened", {}),
}
_OTHER = " and ".join(
    (
        'type = "track"',
        *(f'event != "{name}"' for name in ("Application Installed", *_PRESETS)),
    )
)

DESTINATION = Destination(
    slug="kochava",
    name="Kochava",
    aliases=("Kochava (Actions)",),
    help="Tells Kochava the installs of an app, what users do, and who they are. Its standard "
    "events get their names there, all others keep theirs.",
    website="https://www.kochava.com",
    settings=(
        Setting(
            "kochava_app_id",
            "App GUID",
            help="From Apps & Assets. It alone admits events, so keep it to yourself.",
            required=True,
            secret=True,
            example="kogamerdna114e9bb3481258",
        ),
    ),
    actions=(
        Action(
            "install",
            "Tell an install",
            partial(post, action="install"),
            help="Only where Kochava's SDK is not in the app: it tells its own.",
            trigger=_INSTALLED,
            fields=(
                *_DEVICE,
                Field("ad_services_token", "AdServices token", help="Apple's, for its search ads."),
            ),
        ),
        Action(
            "event",
            "Tell an event",
            partial(post, action="event"),
            help="Kochava must know the install of the device.",
            trigger=_OTHER,
            fields=_EVENT,
        ),
        Action(
            "identityLink",
            "Link an identity",
            link_identity,
            help="Ties ids of your own to the device; IdentityLink must be switched on for the "
            "account.",
            trigger='type = "identify" and userId != null',
            fields=(
                *_IDS,
                Field(
                    "identities",
                    "Identities",
                    "object",
                    "Ids by the names that they shall have at Kochava.",
                    default={"user_id": path("userId")},
                ),
            ),
        ),
    ),
    presets=(
        Preset("Installs", "install"),
        *(
            Preset(
                name,
                "event",
                f'type = "track" and event = "{name}"',
                {"event_name": known, **fields},
            )
            for name, (known, fields) in _PRESETS.items()
        ),
        Preset("Other events", "event"),
        Preset("Identities", "identityLink"),
    ),
    sources=(
        "https://support.kochava.com/server-to-server-integration/install-notification-setup/",
        "https://support.kochava.com/server-to-server-integration/post-install-event-setup/",
        "https://support.kochava.com/reference-information/post-install-event-examples",
        "https://support.kochava.com/server-to-server-integration/identitylink-setup",
    ),
    test_mode="Use the GUID of an app that you made for tests.",
    limits=(
        "One event a request; the install must come before its events.",
        "Server-to-server calls are part of paid accounts only.",
    ),
)
