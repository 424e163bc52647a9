"""Braze's recommended events of a shop.

Source: https://www.braze.com/docs/user_guide/data/activation/custom_data/recommended_events/ecommerce_events
"""

from __future__ import annotations

from penstock.destinations.catalog.braze.profile import EXTERNAL_ID
from penstock.destinations.catalog.braze.sending import track
from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.paths import elements, path
from penstock.destinations.catalog.common.places import CURRENCIES
from penstock.destinations.catalog.common.times import iso_text
from penstock.destinations.contract import (
    Call,
    Choice,
    Field,
    InvalidPayload,
    Json,
    Payload,
    Steps,
)

__all__ = ["ORDER_FIELDS", "PRODUCT_FIELDS", "track_shopping"]

_VIEWED = "ecommerce.product_viewed"
_CART = "ecommerce.cart_updated"
_CHECKOUT = "ecommerce.checkout_started"
_PLACED = "ecommerce.order_placed"
_CANCELLED = "ecommerce.order_cancelled"
_REFUNDED = "ecommerce.order_refunded"

_NEEDED: dict[str, tuple[str, ...]] = {
    _VIEWED: (),
    _CART: ("cart_id",),
    _CHECKOUT: ("checkout_id", "total_value"),
    _PLACED: ("order_id", "total_value"),
    _CANCELLED: ("order_id", "cancel_reason", "total_value"),
    _REFUNDED: ("order_id", "total_value"),
}
_FURTHER: dict[str, tuple[str, ...]] = {
    _CART: ("action", "total_value", "subtotal_value", "tax", "shipping"),
    _CHECKOUT: ("cart_id",),
    _PLACED: ("cart_id", "total_discounts", "discounts"),
    _CANCELLED: ("total_discounts", "discounts"),
    _REFUNDED: ("total_discounts", "discounts"),
}
"""By event what its properties must and may hold, beyond currency, source and products."""
_OF_PRODUCTS = (
    "product_id",
    "product_name",
    "variant_id",
    "image_url",
    "product_url",
    "quantity",
    "price",
)
_IDS = ("external_id", "braze_id", "email", "phone", "user_alias")

_COMMON: tuple[Field, ...] = (
    Field("name", "Event", required=True, choices=tuple(Choice(name) for name in _NEEDED)),
    EXTERNAL_ID,
    Field(
        "user_alias",
        "User alias",
        "object",
        properties=(
            Field("alias_name", "Name", required=True),
            Field("alias_label", "Label", required=True),
        ),
    ),
    mapped("email", "E-mail", "context.traits.email", "properties.email", format="email"),
    mapped("phone", "Phone", "context.traits.phone", "properties.phone", allow_null=True),
    mapped(
        "braze_id", "Braze id", "context.traits.braze_id", "properties.braze_id", allow_null=True
    ),
    mapped("cancel_reason", "Reason of the cancellation", "properties.reason"),
    mapped("time", "Time", "timestamp", required=True, format="date-time"),
    mapped("checkout_id", "Checkout id", "properties.checkout_id"),
    mapped("order_id", "Order id", "properties.order_id"),
    mapped("cart_id", "Cart id", "properties.cart_id"),
    mapped("total_value", "Total", "properties.total", type="number"),
    mapped(
        "action",
        "What became of the cart",
        "properties.action",
        choices=(Choice("add"), Choice("remove"), Choice("replace")),
    ),
    mapped("subtotal_value", "Subtotal", type="number", help="Of a cart."),
    mapped("tax", "Tax", type="number", help="Of a cart."),
    mapped("shipping", "Shipping", type="number", help="Of a cart."),
    mapped("total_discounts", "Discounts in total", "properties.discount", type="number"),
    Field(
        "discounts",
        "Discounts",
        "object",
        multiple=True,
        properties=(
            Field("code", "Code", required=True),
            Field("amount", "Amount", "number", required=True),
        ),
        default=elements("properties.discount_items", code="code", amount="amount"),
    ),
    mapped(
        "currency",
        "Currency",
        "properties.currency",
        required=True,
        choices=tuple(Choice(code) for code in sorted(CURRENCIES)),
    ),
    mapped("source", "Source", "properties.source", required=True, help="Such as web or ios."),
    Field("metadata", "Further properties", "object", additional_properties=True),
)
_PRODUCT = (
    Field("product_id", "Id", required=True),
    Field("product_name", "Name", required=True),
    Field("variant_id", "Variant", required=True),
    Field("image_url", "Picture", format="uri"),
    Field("product_url", "Address", format="uri"),
    Field("price", "Price", "number", required=True),
)
_PATHS = {
    "product_id": "product_id",
    "product_name": "name",
    "variant_id": "variant",
    "image_url": "image_url",
    "product_url": "url",
    "price": "price",
}

ORDER_FIELDS = (
    *_COMMON,
    Field(
        "products",
        "Products",
        "object",
        required=True,
        multiple=True,
        additional_properties=True,
        properties=(*_PRODUCT, Field("quantity", "Quantity", "number", required=True)),
        default=elements("properties.products", **_PATHS, quantity="quantity"),
    ),
)
PRODUCT_FIELDS = (
    *_COMMON,
    Field(
        "catalog_type",
        "Catalogue triggers",
        multiple=True,
        choices=(Choice("price_drop"), Choice("back_in_stock")),
    ),
    Field(
        "product",
        "Product",
        "object",
        required=True,
        properties=_PRODUCT,
        default={key: path(f"properties.{where}") for key, where in _PATHS.items()},
    ),
)


def track_shopping(call: Call) -> Steps:
    """Events of a shop, checked for what Braze asks of each."""
    made = made_of_each(call, lambda payload: [_event(call, payload)])
    return (yield from track(call, "events", *made, batched=call.batched))


def _event(call: Call, payload: Payload) -> Json:
    _check(payload)
    name = payload["name"]
    event = {key: payload[key] for key in _IDS if payload.get(key)}
    if call.settings.get("app_id"):
        event["app_id"] = call.settings["app_id"]
    alias = payload.get("user_alias") or {}
    if (alias.get("alias_label") and alias.get("alias_name")) or call.sync_mode == "update":
        event["_update_existing_only"] = True
    time = iso_text(payload["time"])
    if time is None:
        raise InvalidPayload("time is no date")
    properties = {"currency": payload["currency"], "source": payload["source"]}
    if payload.get("metadata") is not None:
        properties["metadata"] = payload["metadata"]
    own = _viewed(payload) if name == _VIEWED else _ordered(payload)
    return {**event, "name": name, "time": time, "properties": properties | own}


def _check(payload: Payload) -> None:
    if not any(payload.get(key) for key in _IDS):
        raise InvalidPayload("there is no external_id, user_alias, braze_id, email or phone")
    name = payload["name"]
    missing = [key for key in _NEEDED[name] if payload.get(key) is None]
    if missing:
        raise InvalidPayload(f"{name} needs {' and '.join(missing)}")
    open_cart = name == _CART and payload.get("action") not in ("add", "remove")
    if open_cart and payload.get("total_value") is None:
        raise InvalidPayload(f"{name} needs total_value unless action is add or remove")


def _viewed(payload: Payload) -> dict[str, Json]:
    kinds = payload.get("catalog_type")
    return {**payload["product"], **({"type": kinds} if kinds else {})}


def _ordered(payload: Payload) -> dict[str, Json]:
    name = payload["name"]
    keys = (*_NEEDED[name], *_FURTHER[name])
    told = {key: payload[key] for key in keys if payload.get(key) not in (None, "")}
    return {**told, "products": [_product(product) for product in payload["products"]]}


def _product(product: Payload) -> Json:
    own = {key: product[key] for key in _OF_PRODUCTS if key in product}
    further = {key: value for key, value in product.items() if key not in _OF_PRODUCTS}
    return own | ({"metadata": further} if further else {})
