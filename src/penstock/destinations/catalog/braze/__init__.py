"""Braze: profiles, events, purchases and the recommended events of a shop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from penstock.destinations.catalog.braze import items, messaging, profile, shopping, tracking
from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import path
from penstock.destinations.contract import (
    Action,
    Batch,
    Choice,
    Destination,
    Field,
    Json,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_BATCH = Batch(size=75)
_CLUSTERS = {
    **{f"US-0{n}": f"https://rest.iad-0{n}.braze.com" for n in range(1, 9)},
    "US-09": "https://rest.us-09.braze.com",
    "US-10": "https://rest.us-10.braze.com",
    "EU-01": "https://rest.fra-01.braze.eu",
    "EU-02": "https://rest.fra-02.braze.eu",
    "AU-01": "https://rest.au-01.braze.com",
    "ID-01": "https://rest.id-01.braze.com",
    "JP-01": "https://rest.jp-01.braze.com",
}
_WHO = (profile.EXTERNAL_ID, profile.USER_ALIAS)
_TIME = mapped("time", "Time", "receivedAt", type="datetime", required=True)
_PROPERTIES = mapped("properties", "Event properties", "properties", type="object")


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    bearer = {"Authorization": f"Bearer {settings['api_key']}"}
    return replace(request, headers={**request.headers, **bearer})


def _shop(name: str, **metadata: str) -> Mapping[str, Json]:
    fields: dict[str, Json] = {"name": f"ecommerce.{name}"}
    if metadata:
        fields["metadata"] = {key: path(where) for key, where in metadata.items()}
    return fields


_ACTIONS = (
    Action(
        "updateUserProfile",
        "Update profile",
        tracking.update_profiles,
        help="Sets attributes of a person.",
        trigger='type = "identify"',
        fields=profile.PROFILE_FIELDS,
        batch=_BATCH,
    ),
    Action(
        "trackEvent",
        "Track event",
        tracking.track_events,
        help="A custom event.",
        trigger='type = "track" and event != "Order Completed"',
        fields=(
            *_WHO,
            mapped("email", "E-mail", "context.traits.email", "properties.email"),
            profile.BRAZE_ID,
            mapped("name", "Event name", "event", required=True),
            _TIME,
            _PROPERTIES,
            profile.EXISTING_ONLY,
        ),
        batch=_BATCH,
    ),
    Action(
        "trackPurchase",
        "Track purchase",
        tracking.track_purchases,
        help="A purchase for each product of an order, by Braze's older model.",
        trigger='event = "Order Completed"',
        fields=(
            *_WHO,
            mapped("email", "E-mail", "traits.email"),
            profile.BRAZE_ID,
            _TIME,
            Field(
                "products",
                "Products",
                "object",
                required=True,
                multiple=True,
                additional_properties=True,
                properties=(
                    Field("product_id", "Id", required=True),
                    Field("currency", "Currency", help="Else USD."),
                    Field("price", "Price", "number", required=True),
                    Field("quantity", "Quantity", "integer"),
                ),
                default=path("properties.products"),
            ),
            _PROPERTIES,
            profile.EXISTING_ONLY,
        ),
        batch=_BATCH,
    ),
    Action(
        "createAlias",
        "Create alias",
        tracking.create_alias,
        help="Gives a person another name.",
        trigger='event = "Create Alias"',
        fields=(
            Field("external_id", "External id", allow_null=True),
            Field("alias_name", "Alias", required=True),
            Field("alias_label", "Label", required=True),
        ),
    ),
    Action(
        "identifyUser",
        "Identify alias",
        tracking.identify,
        help="Gives the person of an alias an external id.",
        fields=(
            Field("external_id", "External id", required=True),
            Field(
                "user_alias",
                "User alias",
                "object",
                required=True,
                properties=(
                    Field("alias_name", "Name", required=True),
                    Field("alias_label", "Label", required=True),
                ),
            ),
            Field(
                "merge_behavior",
                "What is taken over from the alias",
                choices=(Choice("none"), Choice("merge")),
            ),
        ),
    ),
    Action(
        "ecommerce",
        "Event of a shop: order, cart or checkout",
        shopping.track_shopping,
        help="One of Braze's recommended events that has products.",
        fields=shopping.ORDER_FIELDS,
        batch=_BATCH,
        sync_modes=("add", "update"),
    ),
    Action(
        "ecommerceSingleProduct",
        "Event of a shop: product",
        shopping.track_shopping,
        help="Braze's recommended event for a product that was looked at.",
        fields=shopping.PRODUCT_FIELDS,
        batch=_BATCH,
        sync_modes=("add", "update"),
    ),
    Action(
        "triggerCampaign",
        "Trigger campaign",
        messaging.trigger_campaign,
        help="Sends a campaign, to recipients or to all whom it is for.",
        trigger='type = "track"',
        fields=messaging.CAMPAIGN_FIELDS,
    ),
    Action(
        "triggerCanvas",
        "Trigger canvas",
        messaging.trigger_canvas,
        help="Lets people enter a canvas.",
        trigger='type = "track"',
        fields=messaging.CANVAS_FIELDS,
    ),
    Action(
        "upsertCatalogItem",
        "Item of a catalogue",
        items.sync_items,
        help="Writes an item of a catalogue, or deletes it.",
        fields=items.ITEM_FIELDS,
        batch=Batch(size=50, keys=("catalog_name",)),
        sync_modes=("upsert", "delete"),
        internal=("catalog_name",),
    ),
)
_STATUS = {"order_status_url": "properties.order_status_url"}
_OTHERS = (
    'type = "track" and event != "Order Completed" and event != "Checkout Started" and '
    'event != "Order Refunded" and event != "Order Cancelled" and event != "Product Viewed"'
)

DESTINATION = Destination(
    slug="braze",
    name="Braze",
    aliases=("Braze Cloud Mode (Actions)", "Appboy"),
    help="Messages to customers: profiles, custom events and the recommended events of a shop.",
    website="https://www.braze.com",
    sources=(
        "https://www.braze.com/docs/api/endpoints/user_data/post_user_track",
        "https://www.braze.com/docs/api/endpoints/messaging/send_messages/post_send_triggered_campaigns",
        "https://www.braze.com/docs/api/endpoints/messaging/send_messages/post_send_triggered_canvases",
        "https://www.braze.com/docs/api/endpoints/catalogs",
        "https://www.braze.com/docs/api/basics",
        "https://www.braze.com/docs/api/api_limits",
    ),
    settings=(
        Setting(
            "api_key",
            "REST API key",
            help="With the permissions users.track, users.identify and users.alias.new; campaigns, "
            "canvases and catalogues need their own.",
            required=True,
            secret=True,
        ),
        Setting("app_id", "App id", help="Names the app that events belong to."),
        Setting(
            "endpoint",
            "REST endpoint",
            required=True,
            default=_CLUSTERS["US-01"],
            choices=tuple(Choice(url, name) for name, url in _CLUSTERS.items()),
        ),
    ),
    actions=_ACTIONS,
    presets=(
        Preset("Track calls", "trackEvent", _OTHERS),
        Preset(
            "Order placed",
            "ecommerce",
            'event = "Order Completed"',
            _shop("order_placed", **_STATUS),
        ),
        Preset(
            "Checkout started",
            "ecommerce",
            'event = "Checkout Started"',
            _shop("checkout_started", checkout_url="properties.checkout_url"),
        ),
        Preset(
            "Order refunded",
            "ecommerce",
            'event = "Order Refunded"',
            _shop("order_refunded", **_STATUS),
        ),
        Preset(
            "Order cancelled",
            "ecommerce",
            'event = "Order Cancelled"',
            _shop("order_cancelled", **_STATUS),
        ),
        Preset(
            "Product viewed",
            "ecommerceSingleProduct",
            'event = "Product Viewed"',
            _shop("product_viewed"),
        ),
        Preset("Identify calls", "updateUserProfile"),
    ),
    authorize=_authorize,
    test_mode="Use the REST endpoint and key of a development workspace.",
    limits=(
        "75 events, 75 purchases and 75 attributes a request.",
        "3,000 requests in 3 seconds to /users/track for most customers.",
        "50 recipients a campaign or canvas that is triggered; 50 items of a catalogue a request, "
        "but 50 requests a minute for single items, so let these batch.",
        "Each attribute sent counts as a data point, even when it is unchanged.",
    ),
    timeout=30.0,
)
