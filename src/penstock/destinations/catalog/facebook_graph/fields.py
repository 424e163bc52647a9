"""What can be told of an event: the fields of Facebook's actions."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import either, elements, path
from penstock.destinations.contract import Choice, Field, Json

__all__ = ["BASE", "CUSTOM_NAME", "shopping"]

_SOURCES = {
    "website": "Website",
    "app": "App",
    "email": "E-mail",
    "phone_call": "Phone call",
    "chat": "Chat",
    "physical_store": "Physical store",
    "system_generated": "Made by a system, such as a renewal",
    "other": "Other",
}
_STATES = {
    0: "Located by Facebook",
    1000: "California",
    1001: "Colorado",
    1002: "Connecticut",
    1003: "Florida",
    1004: "Oregon",
    1005: "Texas",
    1006: "Montana",
    1007: "Delaware",
    1008: "Nebraska",
    1009: "New Hampshire",
    1010: "New Jersey",
}

_PERSON = Field(
    "user_data",
    "Person",
    "object",
    "Whatever helps Facebook to find the person; the more, the better the match. Personal data "
    "is normalised and hashed with SHA-256 before it is sent; what is hashed already stays.",
    required=True,
    properties=(
        Field("externalId", "Your ids", multiple=True, help="Hashed."),
        Field("email", "E-mail", help="Hashed."),
        Field("phone", "Phone", help="With country code. Hashed as digits alone."),
        Field("gender", "Gender", help="f, female, m or male. Hashed."),
        Field("dateOfBirth", "Date of birth", help="Like 19971226. Hashed."),
        Field("lastName", "Last name", help="Hashed."),
        Field("firstName", "First name", help="Hashed."),
        Field("city", "City", help="Hashed."),
        Field("state", "State", help="Name or two letters for the USA. Hashed."),
        Field("zip", "Postal code", help="Hashed."),
        Field("country", "Country", help="English name or two letters. Hashed."),
        Field("client_ip_address", "IP address"),
        Field("client_user_agent", "User agent", help="Needed for events of a website."),
        Field("fbc", "Click id", help="Cookie _fbc."),
        Field("fbp", "Browser id", help="Cookie _fbp."),
        Field("subscriptionID", "Subscription id"),
        Field("leadID", "Lead id", "integer", "Of a lead from Facebook's Lead Ads."),
        Field("fbLoginID", "Facebook login id", "integer"),
        Field("anonId", "Installation id", help="For app events only."),
        Field("madId", "Advertising id of the device"),
        Field("partner_id", "Id at an identity partner"),
        Field("partner_name", "Name of the identity partner"),
        Field("ctwa_clid", "Click id of an ad that opens WhatsApp"),
    ),
    default={
        "externalId": either("userId", "anonymousId"),
        "email": path("context.traits.email"),
        "phone": path("context.traits.phone"),
        "dateOfBirth": path("context.traits.birthday"),
        "lastName": path("context.traits.lastName"),
        "firstName": path("context.traits.firstName"),
        "city": path("context.traits.address.city"),
        "state": path("context.traits.address.state"),
        "zip": path("context.traits.address.postalCode"),
        "client_ip_address": path("context.ip"),
        "client_user_agent": path("context.userAgent"),
        "fbc": path("properties.fbc"),
        "fbp": path("properties.fbp"),
    },
)

_APP = Field(
    "app_data_field",
    "App",
    "object",
    "For events of an app, sent to a dataset that is linked to it.",
    properties=(
        Field("use_app_data", "Send it", "boolean", "Off unless mapped to true.", default=False),
        Field("advertiser_tracking_enabled", "Tracking allowed on the device", "boolean"),
        Field("application_tracking_enabled", "Tracking allowed in the app", "boolean"),
        Field("version", "Platform", choices=(Choice("i2", "iOS"), Choice("a2", "Android"))),
        Field("packageName", "Package"),
        Field("shortVersion", "Short version"),
        Field("longVersion", "Long version"),
        Field("osVersion", "Version of the system"),
        Field("deviceName", "Model"),
        Field("madId", "Advertising id of the device"),
        Field("locale", "Locale"),
        Field("timezone", "Time zone, abbreviated"),
        Field("carrier", "Carrier"),
        Field("width", "Screen width"),
        Field("height", "Screen height"),
        Field("density", "Screen density"),
        Field("cpuCores", "CPU cores"),
        Field("storageSize", "Storage in GB"),
        Field("freeStorage", "Free storage in GB"),
        Field("deviceTimezone", "Time zone of the device"),
    ),
    default={
        "application_tracking_enabled": path("context.device.adTrackingEnabled"),
        "packageName": path("context.app.namespace"),
        "longVersion": path("context.app.version"),
        "osVersion": path("context.os.version"),
        "deviceName": path("context.device.model"),
        "locale": path("context.locale"),
        "carrier": path("context.network.carrier"),
        "width": path("context.screen.width"),
        "height": path("context.screen.height"),
        "density": path("context.screen.density"),
        "deviceTimezone": path("context.timezone"),
        "madId": path("context.madId"),
    },
)

BASE = (
    Field(
        "action_source",
        "Where it happened",
        help="The presets say website when the event has a user agent, else system_generated.",
        required=True,
        choices=tuple(Choice(value, label) for value, label in _SOURCES.items()),
    ),
    Field(
        "event_time",
        "Time",
        help="ISO 8601 or seconds since 1970; at most 7 days ago, 62 in a physical store.",
        required=True,
        default=path("timestamp"),
    ),
    _PERSON,
    _APP,
    Field(
        "event_id",
        "Event id",
        help="Facebook counts an event once for each id and name, whether the pixel in the browser "
        "or this destination sent it.",
        default=path("messageId"),
    ),
    Field("event_source_url", "Address of the page", default=path("context.page.url")),
    Field("custom_data", "Own properties", "object"),
    Field(
        "data_processing_options",
        "Limited data use",
        "boolean",
        "Asks Facebook to process the event under the laws of states of the USA.",
    ),
    Field(
        "data_processing_options_country",
        "Country of limited data use",
        "number",
        choices=(Choice(0, "Located by Facebook"), Choice(1, "USA")),
    ),
    Field(
        "data_processing_options_state",
        "State of limited data use",
        "number",
        choices=tuple(Choice(value, label) for value, label in _STATES.items()),
    ),
    Field("test_event_code", "Test event code", help="Stands above that of the settings."),
)
"""Fields that every action has."""

CUSTOM_NAME = Field(
    "event_name",
    "Event name",
    help="One of Facebook's standard events, or a name of your own.",
    required=True,
    default=path("event"),
)

_SHOPPING: dict[str, Field] = {
    field.key: field
    for field in (
        Field("currency", "Currency", help="Three capitals.", default=path("properties.currency")),
        Field("value", "Amount", "number"),
        Field("order_id", "Order id", default=path("properties.order_id")),
        Field("net_revenue", "Net revenue", "number"),
        Field("content_category", "Category"),
        Field("content_ids", "Product ids", multiple=True),
        Field("content_name", "Name of page or product"),
        Field("content_type", "product or product_group"),
        Field("num_items", "Number of items", "integer"),
        Field("search_string", "Words searched for", default=path("properties.query")),
        Field(
            "contents",
            "Products",
            "object",
            multiple=True,
            properties=(
                Field("id", "Product id"),
                Field("quantity", "Quantity", "integer"),
                Field("item_price", "Price", "number"),
                Field(
                    "delivery_category",
                    "Delivery",
                    help="in_store, curbside or home_delivery.",
                ),
            ),
        ),
    )
}
"""What belongs to looking and buying, by key."""


def shopping(
    products: str, *keys: str, required: tuple[str, ...] = (), **defaults: Json
) -> tuple[Field, ...]:
    """Those fields, with their products taken from the object or list at that path."""
    defaults["contents"] = elements(
        products, id="product_id", quantity="quantity", item_price="price"
    )
    return tuple(
        replace(
            _SHOPPING[key],
            required=key in required,
            default=defaults.get(key, _SHOPPING[key].default),
        )
        for key in keys
    )
