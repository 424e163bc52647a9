"""Fields that several of Iterable's actions take."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import either, elements, path
from penstock.destinations.contract import Field

__all__ = ["CART_FIELDS", "EVENT_FIELDS", "PURCHASE_FIELDS", "USER_FIELDS"]

_EMAIL = mapped("email", "E-mail", "properties.email", "context.traits.email", format="email")
_USER_ID = mapped("userId", "User id", "userId")
_MERGE = Field(
    "mergeNestedObjects",
    "Merge objects",
    "boolean",
    "Whether objects within the profile are merged rather than replaced.",
    default=False,
)
_TRAITS = mapped("dataFields", "Profile fields", "traits", type="object")
_PHONE = mapped(
    "phoneNumber",
    "Phone",
    "traits.phone",
    allow_null=True,
    help="With the country code, such as +14155550123.",
)
_PROPERTIES = mapped("dataFields", "Event fields", "properties", type="object")
_CREATED_AT = mapped("createdAt", "Time", "timestamp", type="datetime")
_CAMPAIGN = (
    mapped("campaignId", "Campaign", "properties.campaignId", type="integer"),
    mapped("templateId", "Template", "properties.templateId", type="integer"),
)

USER_FIELDS = (
    mapped("email", "E-mail", "traits.email", format="email"),
    _USER_ID,
    Field(
        "newEmail",
        "New e-mail",
        format="email",
        help="The address that the profile has from now on. In a batch, only hybrid projects "
        "take it.",
    ),
    _TRAITS,
    _PHONE,
    _MERGE,
    Field(
        "updateOnly",
        "Only known users",
        "boolean",
        "Creates nobody. Only where the mapping batches, and where Iterable has enabled it.",
    ),
)

EVENT_FIELDS = (
    _EMAIL,
    _USER_ID,
    mapped("eventName", "Event name", "event", required=True),
    _PROPERTIES,
    mapped("id", "Event id", "messageId", help="A second event of this id replaces the first."),
    _CREATED_AT,
    *_CAMPAIGN,
)

_USER = Field(
    "user",
    "User",
    "object",
    "Is updated, or created.",
    required=True,
    default={
        "email": either("properties.email", "context.traits.email"),
        "userId": path("userId"),
        "dataFields": path("context.traits"),
        "phoneNumber": path("context.traits.phone"),
        "mergeNestedObjects": False,
    },
    properties=tuple(
        replace(field, default=None) for field in (_EMAIL, _USER_ID, _MERGE, _TRAITS, _PHONE)
    ),
)

_ITEMS = Field(
    "items",
    "Products",
    "object",
    "What a product has beyond these is stored in its dataFields.",
    required=True,
    multiple=True,
    additional_properties=True,
    properties=(
        Field("id", "Id", required=True),
        Field("name", "Name", required=True),
        Field("sku", "SKU"),
        Field("quantity", "Quantity", "integer", required=True),
        Field("price", "Price", "number", "Of one piece.", required=True),
        Field("description", "Description"),
        Field("categories", "Category"),
        Field("url", "Address"),
        Field("imageUrl", "Address of the picture"),
    ),
    default=elements(
        "properties.products",
        id="product_id",
        sku="sku",
        categories="category",
        name="name",
        price="price",
        quantity="quantity",
        url="url",
        imageUrl="image_url",
        description="description",
    ),
)

CART_FIELDS = (_USER, _ITEMS)

PURCHASE_FIELDS = (
    mapped(
        "id",
        "Order id",
        "properties.order_id",
        help="A second purchase of this id replaces the first; without one Iterable makes one up.",
    ),
    _USER,
    _PROPERTIES,
    _ITEMS,
    mapped("total", "Total", "properties.total", type="number", required=True),
    _CREATED_AT,
    *_CAMPAIGN,
)
