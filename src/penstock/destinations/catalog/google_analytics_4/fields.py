"""Fields of Google Analytics 4 events, and where they stand in an event by default."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped, nested
from penstock.destinations.catalog.common.paths import elements
from penstock.destinations.contract import Choice, Field

__all__ = ["FIELDS", "ITEM", "ITEMS", "before", "behind"]

ITEM = nested(
    "item_id item_name affiliation coupon currency discount index item_brand item_category "
    "item_category2 item_category3 item_category4 item_category5 item_list_id item_list_name "
    "item_variant location_id price quantity",
    discount="number",
    index="number",
    price="number",
    quantity="integer",
)
_PROMOTED = (*ITEM, *nested("creative_name creative_slot promotion_name promotion_id"))
_PRODUCT = {
    "item_id": "product_id",
    "item_name": "name",
    "affiliation": "affiliation",
    "coupon": "coupon",
    "item_brand": "brand",
    "item_category": "category",
    "item_variant": "variant",
    "price": "price",
    "quantity": "quantity",
}
_CONSENT = (Choice("GRANTED", "Granted"), Choice("DENIED", "Denied"))

_MANY = Field(
    "items",
    "Products",
    "object",
    multiple=True,
    additional_properties=True,
    properties=ITEM,
    default=elements("properties.products", **_PRODUCT, index="position"),
)
_ONE = replace(_MANY, default=elements("properties", **_PRODUCT))

ITEMS: dict[str, Field] = {
    "products": replace(_MANY, required=True),
    "products, if any": _MANY,
    "product": replace(_ONE, required=True),
    "promoted": replace(_ONE, required=True, properties=_PROMOTED),
    "promoted, if any": replace(_ONE, properties=_PROMOTED),
}
"""What the items of an event are made of: its list of products, or the event itself."""

FIELDS: dict[str, Field] = {
    "affiliation": mapped("affiliation", "Affiliation", "properties.affiliation"),
    "coupon": mapped("coupon", "Coupon", "properties.coupon"),
    "coupon of your own": mapped("coupon", "Coupon"),
    "creative_name": mapped("creative_name", "Name of the creative"),
    "creative_slot": mapped("creative_slot", "Slot of the creative", "properties.creative"),
    "currency": mapped("currency", "Currency", "properties.currency", help="ISO 4217."),
    "currency!": mapped("currency", "Currency", "properties.currency", required=True),
    "item_list_id": mapped("item_list_id", "List id", "properties.list_id"),
    "item_list_id of your own": mapped("item_list_id", "List id"),
    "item_list_name": mapped("item_list_name", "List name", "properties.category"),
    "item_list_name of your own": mapped("item_list_name", "List name"),
    "location_id": mapped("location_id", "Location id", "properties.position"),
    "location_id of your own": mapped("location_id", "Location id"),
    "method": mapped("method", "Method", "properties.type"),
    "method of your own": mapped("method", "Method", help="Such as Google or e-mail."),
    "page_location": mapped("page_location", "Address of the page", "context.page.url"),
    "page_referrer": mapped("page_referrer", "Page before", "context.page.referrer"),
    "page_title": mapped("page_title", "Title of the page", "context.page.title"),
    "payment_type": mapped("payment_type", "Payment type", "properties.payment_method"),
    "promotion_id": mapped("promotion_id", "Promotion id", "properties.promotion_id"),
    "promotion_name": mapped("promotion_name", "Promotion name", "properties.name"),
    "search_term": mapped("search_term", "Search term", "properties.query", required=True),
    "shipping": mapped("shipping", "Shipping", "properties.shipping", type="number"),
    "tax": mapped("tax", "Tax", "properties.tax", type="number"),
    "tax of your own": mapped("tax", "Tax", type="number"),
    "transaction_id": mapped("transaction_id", "Order id", "properties.order_id", required=True),
    "value": mapped("value", "Value", "properties.value", type="number"),
    "value of the order": mapped("value", "Value", "properties.total", type="number"),
}
"""Parameters of events, by what the tables of events call them."""


def before(client: str) -> tuple[Field, ...]:
    """Fields that each event has first: who and when. ``client`` is the key of the client id."""
    return (
        Field(
            "data_stream_type",
            "Kind of data stream",
            default="Web",
            choices=(Choice("Web"), Choice("Mobile App")),
        ),
        Field(
            "app_instance_id",
            "App instance id",
            help="Of Firebase; a mobile app stream needs it.",
        ),
        mapped(client, "Client id", "userId", "anonymousId", help="A web stream needs it."),
        Field("user_id", "User id", help="Only sent when mapped: Google asks for consent."),
        mapped(
            "timestamp_micros",
            "Time",
            "timestamp",
            help="A date, or microseconds since 1970. At most 72 hours ago.",
        ),
    )


def behind() -> tuple[Field, ...]:
    """Fields that each event has last."""
    return (
        Field("user_properties", "User properties", "object", additional_properties=True),
        Field(
            "engagement_time_msec",
            "Engagement in milliseconds",
            "number",
            default=1,
            help="Users count as active from 1 on.",
        ),
        Field(
            "params",
            "Further parameters",
            "object",
            additional_properties=True,
            help="Texts, numbers and booleans.",
        ),
        Field("ad_user_data_consent", "Consent: user data for ads", choices=_CONSENT),
        Field("ad_personalization_consent", "Consent: personal ads", choices=_CONSENT),
    )
