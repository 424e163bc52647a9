"""Fields of Amplitude events, and where they stand in an event by default."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import either, elements, path
from penstock.destinations.contract import Choice, Field

__all__ = [
    "ADD",
    "AGENT",
    "BATCH_ENDPOINT",
    "CAMPAIGN",
    "DEVICE_ID",
    "EVENT_FIELDS",
    "HINTS",
    "IDENTIFY_FIELDS",
    "INSERT_ID",
    "MIN_ID_LENGTH",
    "PRODUCTS",
    "SET",
    "USER_ID",
]

USER_ID = mapped("user_id", "User id", "userId", allow_null=True, help="At least 5 characters.")
DEVICE_ID = mapped("device_id", "Device id", "context.device.id", "anonymousId")
INSERT_ID = Field(
    "insert_id",
    "Insert id",
    help="Amplitude keeps one of the events with the same insert id within 7 days. Map "
    "$.messageId so that an event sent twice counts once.",
)
MIN_ID_LENGTH = Field(
    "min_id_length",
    "Least length of ids",
    "integer",
    allow_null=True,
    help="Instead of 5 characters.",
)
_UTM = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
_PLACE = (
    mapped("country", "Country", "context.location.country"),
    mapped("region", "Region", "context.location.region"),
    mapped("city", "City", "context.location.city"),
    Field("dma", "Market area (DMA)"),
    mapped("language", "Language", "context.locale"),
)
_DEVICE = (
    mapped("app_version", "App version", "context.app.version"),
    mapped("platform", "Platform", "context.device.type", help="Web for events of a browser."),
    mapped("os_name", "Operating system", "context.os.name"),
    mapped("os_version", "Version of the operating system", "context.os.version"),
    mapped("device_brand", "Device brand", "context.device.brand"),
    mapped("device_manufacturer", "Device manufacturer", "context.device.manufacturer"),
    mapped("device_model", "Device model", "context.device.model"),
    mapped("carrier", "Carrier", "context.network.carrier"),
)
_LIBRARY = mapped("library", "SDK", "context.library.name", help="Only tells whether it is Web.")
_ADVERTISER = ("context.device.advertisingId", "context.device.idfa")

EVENT_FIELDS = (
    USER_ID,
    DEVICE_ID,
    mapped("event_type", "Event type", "event", required=True),
    Field(
        "session_id",
        "Session",
        "datetime",
        help="When the session started.",
        default=either(
            "integrations.Actions Amplitude.session_id", "integrations.Amplitude.session_id"
        ),
    ),
    mapped("time", "Time", "timestamp", type="datetime"),
    mapped("event_properties", "Event properties", "properties", type="object"),
    mapped("user_properties", "User properties", "traits", type="object"),
    Field("groups", "Groups", "object", help="Such as {company: acme}; at most five."),
    *_DEVICE,
    *_PLACE,
    mapped("price", "Price", "properties.price", type="number"),
    mapped("quantity", "Quantity", "properties.quantity", type="integer"),
    mapped("revenue", "Revenue", "properties.revenue", type="number"),
    mapped("productId", "Product id", "properties.productId"),
    mapped("revenueType", "Revenue type", "properties.revenueType"),
    mapped("location_lat", "Latitude", "context.location.latitude", type="number"),
    mapped("location_lng", "Longitude", "context.location.longitude", type="number"),
    mapped("ip", "IP address", "context.ip", help="$remote: that of the request."),
    mapped("idfa", "iOS advertising id", *_ADVERTISER),
    mapped("idfv", "iOS vendor id", "context.device.id"),
    mapped("adid", "Google advertising id", *_ADVERTISER),
    Field("android_id", "Android id"),
    Field("event_id", "Event number", "integer", help="Tells events of the same time apart."),
    INSERT_ID,
    _LIBRARY,
    Field(
        "library2",
        "SDK that Amplitude shows",
        "object",
        properties=(
            Field("behavior", "Behaviour", choices=(Choice("auto"), Choice("use_mapping"))),
            Field("mapping", "Name"),
        ),
        default={"behavior": "use_mapping", "mapping": path("context.library.name")},
    ),
)

_PRODUCT = "price revenue quantity productId revenueType"
PRODUCTS = Field(
    "products",
    "Products",
    "object",
    multiple=True,
    additional_properties=True,
    properties=nested(_PRODUCT, price="number", quantity="integer", revenue="number"),
    default=elements("properties.products", **{name: name for name in _PRODUCT.split()}),
)
HINTS = Field(
    "userAgentData",
    "Client hints",
    "object",
    properties=nested("model platformVersion"),
    default={
        "model": path("context.userAgentData.model"),
        "platformVersion": path("context.userAgentData.platformVersion"),
    },
)
AGENT = (
    mapped("userAgent", "User agent", "context.userAgent"),
    Field(
        "userAgentParsing",
        "Read the user agent",
        "boolean",
        default=True,
        help="Tells maker, model and operating system where the event does not.",
    ),
    Field("includeRawUserAgent", "Send the user agent, too", "boolean", default=False),
)
BATCH_ENDPOINT = Field(
    "use_batch_endpoint",
    "Batch endpoint",
    "boolean",
    default=False,
    help="It throttles less.",
)
ADD = Field(
    "add", "Add", "object", additional_properties=True, help="User properties to add numbers to."
)
CAMPAIGN = (
    Field(
        "utm_properties",
        "Campaign",
        "object",
        properties=nested(" ".join(_UTM)),
        default={key: path(f"context.campaign.{name}") for key, name in _UTM.items()},
    ),
    mapped("referrer", "Referrer", "context.page.referrer"),
)


def _set(key: str, label: str, prefix: str) -> Field:
    paths = {"referrer": "page.referrer"} | {k: f"campaign.{name}" for k, name in _UTM.items()}
    return Field(
        key,
        label,
        "object",
        additional_properties=True,
        properties=nested(" ".join(prefix + name for name in paths)),
        default={prefix + name: path(f"context.{where}") for name, where in paths.items()},
    )


SET = (_set("setOnce", "Set once", "initial_"), _set("setAlways", "Set always", ""))

IDENTIFY_FIELDS = (
    USER_ID,
    DEVICE_ID,
    mapped("user_properties", "User properties", "traits", type="object"),
    Field("groups", "Groups", "object", help="Such as {company: acme}; at most five."),
    *_DEVICE,
    *_PLACE,
    Field("paying", "Pays", "boolean"),
    Field("start_version", "First version"),
    INSERT_ID,
    *AGENT,
    *CAMPAIGN,
    MIN_ID_LENGTH,
    _LIBRARY,
    HINTS,
)
