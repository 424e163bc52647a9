"""Users, events and orders as Iterable takes them.

Source: https://api.iterable.com/api/docs
"""

from __future__ import annotations

import re
from datetime import datetime

from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import InvalidPayload, Json, Payload

__all__ = ["cart_of", "event_of", "purchase_of", "require_identity", "user_of"]

_TIME = re.compile(
    r"(?a)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[ T]\d{2}:?\d{2}"
    r"(:?\d{2}([,.]\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?"
)
"""Texts that are a day and a time; a day alone is one already in Iterable's eyes."""
_OF_ITEM = ("id", "name", "sku", "quantity", "price", "description", "url", "imageUrl")
_OWN_PLACE = {*_OF_ITEM, "product_id", "category", "categories", "image_url"} - {"description"}
"""What a product's dataFields need not repeat."""


def require_identity(who: Payload) -> None:
    """Raises InvalidPayload for somebody without e-mail and user id."""
    if not who.get("email") and not who.get("userId"):
        raise InvalidPayload("Iterable needs an email or a userId")


def user_of(payload: Payload) -> Payload:
    """A profile, for ``users/update`` and ``users/bulkUpdate``."""
    return _person(payload, "newEmail", "updateOnly")


def event_of(payload: Payload, now: datetime) -> Payload:
    """An event, for ``events/track`` and ``events/trackBulk``."""
    return {
        **payload,
        "dataFields": _with_times(payload.get("dataFields", {})),
        "createdAt": _seconds(payload, now),
    }


def cart_of(payload: Payload) -> Payload:
    """A cart as it is now, for ``commerce/updateCart``."""
    return {"user": _person(payload["user"]), "items": _items(payload["items"])}


def purchase_of(payload: Payload, now: datetime) -> Payload:
    """An order, for ``commerce/trackPurchase``; its fields don't repeat the products."""
    order = {k: v for k, v in payload.get("dataFields", {}).items() if k != "products"}
    return event_of({**payload, **cart_of(payload), "dataFields": order}, now)


def _person(given: Payload, *withheld: str) -> Payload:
    """Profile fields hold the phone number, under the name that Iterable sends texts to."""
    fields = _with_times(given.get("dataFields", {}))
    if "phoneNumber" in given:
        fields["phoneNumber"] = given["phoneNumber"]
    told = {key: value for key, value in given.items() if key not in (*withheld, "phoneNumber")}
    return {**told, "dataFields": fields}


def _items(products: list[Payload]) -> list[Payload]:
    made = []
    for product in products:
        further = {key: value for key, value in product.items() if key not in _OWN_PLACE}
        item = {key: product[key] for key in _OF_ITEM if key in product}
        item["dataFields"] = _with_times(further)
        if "categories" in product:
            item["categories"] = [product["categories"]]
        made.append(item)
    return made


def _seconds(payload: Payload, now: datetime) -> int | None:
    """When it happened, in seconds since 1970; null for what tells no time."""
    if "createdAt" not in payload:
        return int(now.timestamp())
    when = instant(str(payload["createdAt"]))
    return None if when is None else int(when.timestamp() // 1)


def _with_times(value: Json) -> Json:
    """A copy whose ISO 8601 times, at any depth, read as Iterable's: in UTC, to the second."""
    if isinstance(value, dict):
        return {key: _with_times(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_times(inner) for inner in value]
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        return value
    when = instant(value)
    return None if when is None else when.strftime("%Y-%m-%d %H:%M:%S +00:00")
