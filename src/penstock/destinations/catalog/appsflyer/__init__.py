"""AppsFlyer: events of apps, for attributing them to advertising."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.destinations.catalog.appsflyer.events import HOSTS, send_event
from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_WHO = (
    mapped(
        "appsflyer_id",
        "AppsFlyer id",
        "integrations.AppsFlyer.appsFlyerId",
        "integrations.AppsFlyer.appsflyerId",
        "integrations.AppsFlyer.appsflyer_id",
        help="AppsFlyer's id of the install, which its SDK tells the app. Needed, unless it is "
        "among the external ids.",
    ),
    mapped(
        "external_ids",
        "External ids",
        "context.externalIds",
        "context.externalId",
        type="object",
        multiple=True,
        help="One of type appsflyerExternalId is the AppsFlyer id.",
    ),
    mapped("customer_user_id", "User id", "userId"),
    Field("email", "E-mail", help="Sent as its SHA-256, as are phone and names."),
    Field("phone", "Phone", help="With + and the country code."),
    Field("first_name", "First name"),
    Field("last_name", "Last name"),
    Field("fb_login_id", "Facebook login id"),
)

_DEVICE = (
    mapped("platform", "Platform", "context.device.type", "context.os.name"),
    Field("app_id", "App id", help="Goes before those of the settings, for other platforms too."),
    mapped(
        "advertising_id",
        "Advertising id",
        "context.device.advertisingId",
        help="Sent as idfa or advertising_id.",
    ),
    mapped(
        "device_id",
        "Device id",
        "context.device.id",
        help="Sent as idfv, only of iOS and if it is a UUID.",
    ),
    Field("oaid", "Open advertising id"),
    Field("amazon_aid", "Amazon advertising id"),
    Field("imei", "IMEI"),
    mapped("ip", "IP address", "context.ip", help="AppsFlyer takes only those of version 4."),
    mapped("os", "Version of the operating system", "context.os.version"),
    mapped("ua", "User agent", "context.userAgent"),
    mapped("app_version_name", "Version of the app", "context.app.version"),
    Field("app_store", "App store"),
    mapped("bundleIdentifier", "Bundle id", "context.app.namespace"),
    Field("app_type", "Kind of app", choices=(Choice("app_clip", "App Clip"),)),
    mapped(
        "att",
        "App Tracking Transparency",
        "context.device.attTrackingStatus",
        type="integer",
        choices=tuple(
            Choice(number, name)
            for number, name in enumerate(("Not determined", "Restricted", "Denied", "Authorised"))
        ),
        help="Only of iOS.",
    ),
    mapped("aie", "Agreed to be followed", "context.device.adTrackingEnabled", type="boolean"),
)

_CONSENT = Field(
    "consent",
    "Consent",
    "object",
    "For the EEA: whether GDPR applies and what the user agreed to, or what a consent platform "
    "stored (`tcf`).",
    properties=(
        *nested(
            "gdpr_applies ad_user_data_enabled ad_personalization_enabled",
            gdpr_applies="boolean",
            ad_user_data_enabled="boolean",
            ad_personalization_enabled="boolean",
        ),
        Field(
            "tcf",
            "TCF",
            "object",
            properties=nested(
                "policy_version gdpr_applies cmp_sdk_id cmp_sdk_version tcstring",
                policy_version="integer",
                gdpr_applies="integer",
                cmp_sdk_id="integer",
                cmp_sdk_version="integer",
            ),
        ),
    ),
)

_VALUES = (
    mapped("revenue", "Revenue", "properties.revenue", type="number", help="af_revenue."),
    Field("refund", "Is a refund", "boolean", "Revenue is sent below zero."),
    mapped("currency", "Currency", "properties.currency", help="AppsFlyer assumes USD."),
    mapped("order_id", "Order id", "properties.order_id", help="af_order_id."),
    mapped("content_id", "Product id", "properties.product_id", "properties.sku"),
    mapped("content", "Product name", "properties.name"),
    mapped("content_type", "Category", "properties.category"),
    mapped("price", "Price", "properties.price", type="number"),
    mapped("quantity", "Quantity", "properties.quantity", type="integer"),
    mapped("query", "Search", "properties.query", help="af_search_string."),
    mapped("method", "Way of registering", "properties.method"),
    Field(
        "products",
        "Products",
        "object",
        "Their ids, names, prices and quantities become lists.",
        multiple=True,
        properties=nested("content_id content price quantity", price="number", quantity="integer"),
        default={
            "@arrayPath": [
                "$.properties.products",
                {
                    "content_id": either("product_id", "sku"),
                    "content": path("name"),
                    "price": path("price"),
                    "quantity": path("quantity"),
                },
            ]
        },
    ),
    mapped(
        "properties",
        "Own properties",
        "properties",
        type="object",
        help="Sent beside the named ones, as far as there is room.",
    ),
    Field("custom_data", "Custom data", "object"),
    Field(
        "sharing_filter",
        "Partners not to share with",
        help="Their ids in AppsFlyer, such as googleadwords_int, or all.",
        multiple=True,
    ),
)

_EVENT = (
    mapped("event_name", "Event name", "event", required=True),
    mapped("event_time", "Time", "timestamp", type="datetime"),
    *_WHO,
    *_DEVICE,
    _CONSENT,
    *_VALUES,
)

_TOTAL = either("properties.revenue", "properties.total", "properties.value")
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "Order Completed": ("af_purchase", {"revenue": _TOTAL}),
    "Order Refunded": ("cancel_purchase", {"revenue": _TOTAL, "refund": True}),
    "Product Added": ("af_add_to_cart", {}),
    "Product Removed": ("remove_from_cart", {}),
    "Product Added to Wishlist": ("af_add_to_wishlist", {}),
    "Product Viewed": ("af_content_view", {}),
    "Product List Viewed": ("af_list_view", {}),
    "Product Shared": ("af_share", {}),
    "Product Reviewed": ("af_rate", {}),
    "Products Searched": ("af_search", {}),
    "Checkout Started": ("af_initiated_checkout", {}),
    "Payment Info Entered": ("af_add_payment_info", {}),
    "Promotion Viewed": ("af_ad_view", {}),
    "Promotion Clicked": ("af_ad_click", {}),
    "Signed Up": ("af_complete_registration", {}),
    "Signed In": ("af_login", {}),
    "Invite Sent": ("af_invite", {}),
    "Trial Started": ("af_start_trial", {}),
}


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, headers={**request.headers, "authentication": settings["key"]})


DESTINATION = Destination(
    slug="appsflyer",
    name="AppsFlyer",
    aliases=("AppsFlyer (Actions)",),
    help="Tells AppsFlyer what users of an app do elsewhere, such as an order at the web shop. "
    "Events need AppsFlyer's id of the install: "
    '`integrations: {AppsFlyer: {appsFlyerId: "1415211453000-6513894"}}`. Installs and launches '
    "are counted by its SDK.",
    website="https://www.appsflyer.com",
    settings=(
        Setting(
            "api",
            "API",
            default="v3",
            choices=(
                Choice("v3", "Version 3, with an S2S key"),
                Choice("v2", "Version 2, with the dev key of the app"),
            ),
        ),
        Setting(
            "key",
            "S2S key or dev key",
            help="The S2S key is under Security center, AppsFlyer API tokens; the dev key under "
            "App settings.",
            required=True,
            secret=True,
            example="s2s-key-of-the-account",
        ),
        Setting(
            "ios_app_id",
            "App id on iOS",
            pattern="(id)?[0-9]+",
            help="Such as id123456789.",
            example="id123456789",
        ),
        Setting(
            "android_app_id",
            "App id on Android",
            pattern=r"[A-Za-z0-9_.\-]+",
            help="The name of the package, such as com.example.app.",
            example="com.example.app",
        ),
    ),
    actions=(
        Action(
            "sendEvent",
            "Send an event",
            send_event,
            trigger='type = "track"',
            fields=_EVENT,
            internal=("platform", "app_id", "external_ids", "refund"),
        ),
    ),
    presets=(
        *(
            Preset(
                name,
                "sendEvent",
                f'type = "track" and event = "{name}"',
                {"event_name": known, **fields},
            )
            for name, (known, fields) in _PRESETS.items()
        ),
        Preset(
            "Other events",
            "sendEvent",
            " and ".join(('type = "track"', *(f'event != "{name}"' for name in _PRESETS))),
        ),
        Preset(
            "Screens",
            "sendEvent",
            'type = "screen"',
            {"event_name": {"@template": "Viewed {{name}} Screen"}},
        ),
    ),
    sources=(
        "https://dev.appsflyer.com/hc/reference/s2s-events-api3-post",
        "https://dev.appsflyer.com/hc/reference/s2s-events-api3-overview",
        "https://support.appsflyer.com/hc/en-us/articles/207034486",
        "https://dev.appsflyer.com/hc/docs/sending-events-android-7",
        "https://dev.appsflyer.com/hc/docs/android-send-consent-for-dma-compliance",
    ),
    authorize=_authorize,
    test_mode="Use the id of an app that you made for tests.",
    limits=(
        "An event has at most 1,024 bytes: beyond, your own properties are left out, the longest "
        "first.",
        "What arrives after 02:00 UTC of the next day counts from when it arrived.",
        "AppsFlyer checks little before it answers OK: not all that it takes is recorded.",
        f"One host for all regions: {HOSTS['v3'].removeprefix('https://')}.",
    ),
)
