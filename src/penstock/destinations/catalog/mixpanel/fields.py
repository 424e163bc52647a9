"""What Mixpanel can be told about an event, and where that stands in an event by default."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import elements, path
from penstock.destinations.contract import Field

__all__ = ["EVENT", "EVENT_FIELDS", "PERSON_FIELDS", "PRODUCTS"]

EVENT = mapped("event", "Event name", "event", required=True)

_BROWSER = ("architecture", "bitness", "model", "platform", "platformVersion", "uaFullVersion")
_UTM = {
    "source": "source",
    "medium": "medium",
    "campaign": "name",
    "term": "term",
    "content": "content",
}

EVENT_FIELDS: tuple[Field, ...] = (
    mapped("distinct_id", "Distinct id", "userId", "anonymousId"),
    mapped("anonymous_id", "Anonymous id", "anonymousId"),
    mapped("user_id", "User id", "userId"),
    mapped("group_id", "Group id", "context.groupId"),
    mapped(
        "insert_id",
        "Insert id",
        "messageId",
        help="Mixpanel keeps one of the events with the same insert id.",
    ),
    mapped("time", "Time", "timestamp", type="datetime"),
    mapped("app_name", "App name", "context.app.name"),
    mapped("app_namespace", "App namespace", "context.app.namespace"),
    mapped("app_build", "App build", "context.app.build"),
    mapped("app_version", "App version", "context.app.version"),
    mapped("os_name", "Operating system", "context.os.name"),
    mapped("os_version", "Version of the operating system", "context.os.version"),
    mapped("device_id", "Device id", "context.device.id"),
    mapped("device_type", "Device type", "context.device.type"),
    mapped("device_name", "Device name", "context.device.name"),
    mapped("device_manufacturer", "Device manufacturer", "context.device.manufacturer"),
    mapped("device_model", "Device model", "context.device.model"),
    mapped("bluetooth", "Bluetooth is on", "context.network.bluetooth", type="boolean"),
    mapped("carrier", "Carrier", "context.network.carrier"),
    mapped("cellular", "Mobile data is on", "context.network.cellular", type="boolean"),
    mapped("wifi", "Wi-Fi is on", "context.network.wifi", type="boolean"),
    mapped("country", "Country", "context.location.country"),
    mapped("region", "Region", "context.location.region"),
    mapped("language", "Language", "context.locale"),
    mapped("library_name", "Name of the SDK", "context.library.name"),
    mapped("library_version", "Version of the SDK", "context.library.version"),
    mapped("ip", "IP address", "context.ip", help="Only to tell the place; not stored."),
    mapped("idfa", "iOS advertising id", "context.device.advertisingId", "context.device.idfa"),
    mapped("url", "Address of the page", "context.page.url"),
    mapped("screen_width", "Screen width", "context.screen.width", type="number"),
    mapped("screen_height", "Screen height", "context.screen.height", type="number"),
    mapped("screen_density", "Screen density", "context.screen.density", type="number"),
    mapped("referrer", "Referrer", "context.page.referrer"),
    mapped("userAgent", "User agent", "context.userAgent", help="Tells browser and version."),
    mapped("advertising_id", "Advertising id", "context.device.advertisingId"),
    mapped("ad_tracking_enabled", "Ad tracking is allowed", "context.device.adTrackingEnabled"),
    mapped("timezone", "Time zone", "context.timezone"),
    mapped("app_platform", "App platform", "context.app.platform"),
    mapped("name", "Original event name", "event", "name"),
    mapped("event_properties", "Event properties", "properties", type="object"),
    mapped(
        "context",
        "Context",
        "context",
        type="object",
        help="Tells whether the event came from Iterable; not sent.",
    ),
    Field(
        "utm_properties",
        "Campaign",
        "object",
        properties=nested(" ".join(f"utm_{name}" for name in _UTM)),
        default={f"utm_{name}": path(f"context.campaign.{key}") for name, key in _UTM.items()},
    ),
    Field(
        "userAgentData",
        "Client hints",
        "object",
        properties=nested(
            " ".join(("mobile", *_BROWSER, "wow64")), mobile="boolean", wow64="boolean"
        ),
        default={
            key: path(f"context.userAgentData.{key}") for key in ("mobile", *_BROWSER, "wow64")
        },
    ),
)

_PRODUCT = "product_id sku category name brand variant price quantity coupon position url image_url"
PRODUCTS = Field(
    "products",
    "Products",
    "object",
    multiple=True,
    additional_properties=True,
    properties=nested(_PRODUCT, price="number", quantity="integer", position="number"),
    default=elements("properties.products", **{name: name for name in _PRODUCT.split()}),
)

PERSON_FIELDS: tuple[Field, ...] = (
    mapped("ip", "IP address", "context.ip", help="Only to tell the place; not stored."),
    mapped("user_id", "User id", "userId", allow_null=True),
    mapped("anonymous_id", "Anonymous id", "anonymousId", allow_null=True),
)
