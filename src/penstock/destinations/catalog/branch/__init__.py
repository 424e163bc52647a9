"""Branch: events of apps and sites, for attributing them to links and advertising."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from penstock.destinations.catalog.branch.events import HOSTS, SCHEMAS, STANDARD, log_event
from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    FieldType,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_DEVICE = (
    mapped("platform", "Platform", "context.device.type", "context.os.name"),
    mapped(
        "advertising_id",
        "Advertising id",
        "context.device.advertisingId",
        help="Sent as idfa or aaid.",
    ),
    mapped("device_id", "Device id", "context.device.id", help="Sent as idfv or android_id."),
    mapped(
        "ad_tracking_enabled",
        "May be followed",
        "context.device.adTrackingEnabled",
        type="boolean",
        help="Sent the other way round, as limit_ad_tracking.",
    ),
    mapped("locale", "Locale", "context.locale", help="Sent as language and country."),
)

_USER = Field(
    "user_data",
    "User and device",
    "object",
    "Branch needs developer_identity or an id of the device. The three that begin with dma_ tell "
    "what a user in the EEA agreed to.",
    properties=(
        *nested(
            "developer_identity os_version app_version brand model user_agent ip local_ip "
            "http_origin http_referrer browser_fingerprint_id country language environment "
            "screen_dpi screen_height screen_width dma_eea dma_ad_personalization "
            "dma_ad_user_data limit_ad_tracking",
            screen_dpi="number",
            screen_height="integer",
            screen_width="integer",
            dma_eea="boolean",
            dma_ad_personalization="boolean",
            dma_ad_user_data="boolean",
            limit_ad_tracking="boolean",
        ),
    ),
    default={
        "developer_identity": path("userId"),
        "os_version": path("context.os.version"),
        "app_version": path("context.app.version"),
        "brand": path("context.device.manufacturer"),
        "model": path("context.device.model"),
        "user_agent": path("context.userAgent"),
        "ip": path("context.ip"),
        "http_origin": path("context.page.url"),
        "http_referrer": path("context.page.referrer"),
        "screen_dpi": path("context.screen.density"),
        "screen_height": path("context.screen.height"),
        "screen_width": path("context.screen.width"),
    },
)

_EVENT = Field(
    "event_data",
    "Event",
    "object",
    properties=nested(
        "transaction_id revenue currency shipping tax coupon affiliation search_query description",
        revenue="number",
        shipping="number",
        tax="number",
    ),
    default={
        "transaction_id": path("properties.order_id"),
        "revenue": either("properties.revenue", "properties.total", "properties.value"),
        "currency": path("properties.currency"),
        "shipping": path("properties.shipping"),
        "tax": path("properties.tax"),
        "coupon": path("properties.coupon"),
        "affiliation": path("properties.affiliation"),
        "search_query": path("properties.query"),
        "description": path("properties.description"),
    },
)

_SHAPE = {
    "$canonical_identifier": path("product_id"),
    "$sku": either("sku", "product_id"),
    "$product_name": path("name"),
    "$product_brand": path("brand"),
    "$product_category": path("category"),
    "$product_variant": path("variant"),
    "$price": path("price"),
    "$quantity": path("quantity"),
    "$og_title": path("name"),
    "$og_image_url": path("image_url"),
}
_TYPES: dict[str, FieldType] = {
    **dict.fromkeys(("$price", "$quantity", "$rating_average", "$rating_max"), "number"),
    **dict.fromkeys(("$latitude", "$longitude"), "number"),
    **dict.fromkeys(("$rating_count", "$creation_timestamp", "$exp_date"), "integer"),
    **dict.fromkeys(("$publicly_indexable", "$locally_indexable"), "boolean"),
    "$custom_fields": "object",
}
_ITEMS = Field(
    "content_items",
    "Content",
    "object",
    "Of a category that Branch does not know, such as your own, the custom fields tell.",
    multiple=True,
    properties=(
        Field("$content_schema", "Schema", choices=tuple(Choice(each) for each in SCHEMAS)),
        *nested(
            "$og_title $og_description $og_image_url $canonical_identifier $price $quantity $sku "
            "$product_name $product_brand $product_category $product_variant $rating_average "
            "$rating_count $rating_max $creation_timestamp $exp_date $publicly_indexable "
            "$locally_indexable $address_street $address_city $address_region $address_country "
            "$address_postal_code $latitude $longitude $condition $custom_fields",
            **_TYPES,
        ),
        Field("$keywords", "Keywords", multiple=True),
        Field("$image_captions", "Captions", multiple=True),
    ),
    default={"@arrayPath": ["$.properties.products", _SHAPE]},
)

_FIELDS = (
    Field("customer_event_alias", "Name of your own"),
    *_DEVICE,
    _USER,
    _EVENT,
    _ITEMS,
    mapped(
        "custom_data",
        "Own properties",
        "properties",
        type="object",
        help="All become texts; products stay out.",
    ),
)
_INTERNAL = tuple(field.key for field in _DEVICE)

_ONE = {"content_items": {"@arrayPath": ["$.properties", _SHAPE]}}
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "Product Added": ("ADD_TO_CART", _ONE),
    "Product Added to Wishlist": ("ADD_TO_WISHLIST", _ONE),
    "Cart Viewed": ("VIEW_CART", {}),
    "Checkout Started": ("INITIATE_PURCHASE", {}),
    "Payment Info Entered": ("ADD_PAYMENT_INFO", {}),
    "Order Completed": ("PURCHASE", {}),
    "Promotion Viewed": ("VIEW_AD", {}),
    "Promotion Clicked": ("CLICK_AD", {}),
    "Products Searched": ("SEARCH", {}),
    "Product Viewed": ("VIEW_ITEM", _ONE),
    "Product List Viewed": ("VIEW_ITEMS", {}),
    "Product Reviewed": ("RATE", _ONE),
    "Product Shared": ("SHARE", _ONE),
    "Video Playback Started": ("INITIATE_STREAM", {}),
    "Video Playback Completed": ("COMPLETE_STREAM", {}),
    "Signed Up": ("COMPLETE_REGISTRATION", {}),
    "Signed In": ("LOGIN", {}),
    "Invite Sent": ("INVITE", {}),
    "Trial Started": ("START_TRIAL", {}),
}
_OTHER = " and ".join(('type = "track"', *(f'event != "{name}"' for name in _PRESETS)))


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, json={**request.json, "branch_key": settings["branch_key"]})


DESTINATION = Destination(
    slug="branch",
    name="Branch",
    aliases=("Branch Metrics", "Branch (Actions)"),
    help="Tells Branch what users do in the app, on the site or elsewhere. Installs and launches "
    "are counted by its SDK; `userId` must be the identity that the app gives it.",
    website="https://www.branch.io",
    settings=(
        Setting(
            "branch_key",
            "Branch key",
            help="From Configuration, Security & Access; key_live_… or key_test_….",
            required=True,
            secret=True,
            pattern="key_(live|test)_[A-Za-z0-9]+",
            example="key_test_hdcBLUy1xZ1JD0tKg7qrLcgirFmPPVJc",
        ),
        Setting(
            "region",
            "Region",
            default="us",
            choices=(Choice("us", HOSTS["us"]), Choice("eu", HOSTS["eu"])),
        ),
        Setting(
            "override_ip",
            "Tell the user's address in a header",
            "boolean",
            "As X-IP-Override; Branch must allow it for your app.",
            default=False,
        ),
    ),
    actions=(
        Action(
            "standardEvent",
            "Log a standard event",
            partial(log_event, kind="standard"),
            help="One that Branch passes on to advertising networks.",
            trigger='type = "track" and event = "Order Completed"',
            fields=(
                Field(
                    "name",
                    "Event name",
                    required=True,
                    choices=tuple(Choice(each) for each in STANDARD),
                ),
                *_FIELDS,
            ),
            internal=_INTERNAL,
        ),
        Action(
            "customEvent",
            "Log an event of your own",
            partial(log_event, kind="custom"),
            trigger=_OTHER,
            fields=(mapped("name", "Event name", "event", required=True), *_FIELDS),
            internal=_INTERNAL,
        ),
    ),
    presets=(
        *(
            Preset(
                name,
                "standardEvent",
                f'type = "track" and event = "{name}"',
                {"name": known, **fields},
            )
            for name, (known, fields) in _PRESETS.items()
        ),
        Preset("Other events", "customEvent"),
    ),
    sources=(
        "https://help.branch.io/apidocs/events",
        "https://help.branch.io/apidocs/logstandardevents",
        "https://help.branch.io/apidocs/logcustomevents",
        "https://github.com/BranchMetrics/branch-deep-linking-public-api",
        "https://github.com/BranchMetrics/ios-branch-deep-linking-attribution",
    ),
    authorize=_authorize,
    test_mode="Use the key of Branch's test environment, key_test_…; its data stay apart.",
    limits=(
        "Branch takes events as of when they arrive: a replay of old ones counts as of now.",
        "Each app has a rate limit of its own; beyond, Branch answers 429.",
    ),
)
