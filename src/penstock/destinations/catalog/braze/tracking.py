"""What payloads become: events, purchases, attributes of a profile, aliases."""

from __future__ import annotations

from penstock.destinations.catalog.braze.profile import PROFILE_FIELDS
from penstock.destinations.catalog.braze.sending import person, track
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.times import iso_text
from penstock.destinations.contract import Call, Json, Payload, Request, Skipped, Steps

__all__ = ["create_alias", "identify", "track_events", "track_purchases", "update_profiles"]

_OF_PRODUCTS = ("product_id", "currency", "price", "quantity")
_INSTANTS = ("date_of_first_session", "date_of_last_session", "marked_email_as_spam_at")
_GENDERS = {
    "M": ("man", "male", "m"),
    "F": ("woman", "female", "w", "f"),
    "O": ("other", "o"),
    "N": ("not applicable", "n"),
    "P": ("prefer not to say", "p"),
}
_OWN_NAMES = {field.key for field in PROFILE_FIELDS} | {
    "enable_batching",
    "products",
    "properties",
    "time",
    "batch_size",
    "firstName",
    "lastName",
    "avatar",
}
"""Traits that are fields of Braze, or the spelling of one, and so no custom attributes."""
_NOT_SENT = {"custom_attributes", "user_alias", "subscription_groups", "current_location"}


def track_events(call: Call) -> Steps:
    """Custom events."""

    def make(payload: Payload) -> list[Json]:
        event = {**person(payload), **_app(call), "name": payload["name"], **_time(payload)}
        return [event | _kept(payload, "properties", "_update_existing_only")]

    return (yield from track(call, "events", *made_of_each(call, make)))


def track_purchases(call: Call) -> Steps:
    """A purchase for each product of an order."""
    made, failures = made_of_each(call, lambda payload: _purchases(call, payload))
    if len(call.payloads) == 1 and not made[0]:
        raise Skipped("the order has no products")
    return (yield from track(call, "purchases", made, failures))


def update_profiles(call: Call) -> Steps:
    """Attributes of persons."""
    return (
        yield from track(
            call, "attributes", *made_of_each(call, lambda payload: [_attributes(payload)])
        )
    )


def identify(call: Call) -> Steps:
    """Gives the person of an alias an external id."""
    body: dict[str, Json] = {
        "aliases_to_identify": [_kept(call.payload, "external_id", "user_alias")]
    }
    body |= _kept(call.payload, "merge_behavior")
    yield Request("POST", f"{call.settings['endpoint']}/users/identify", json=body)
    return None


def create_alias(call: Call) -> Steps:
    """Gives a person another name."""
    alias = _kept(call.payload, "external_id", "alias_name", "alias_label")
    named = {key: value for key, value in alias.items() if value is not None}
    url = f"{call.settings['endpoint']}/users/alias/new"
    yield Request("POST", url, json={"user_aliases": [named]})
    return None


def _purchases(call: Call, payload: Payload) -> list[Json]:
    shared = {
        **person(payload),
        **_app(call),
        **_time(payload),
        **_kept(payload, "_update_existing_only"),
    }
    order = {k: v for k, v in (payload.get("properties") or {}).items() if k != "products"}
    return [
        {
            **shared,
            "currency": "USD",
            **_kept(product, *_OF_PRODUCTS),
            "properties": {k: v for k, v in product.items() if k not in _OF_PRODUCTS} | order,
        }
        for product in payload["products"]
    ]


def _attributes(payload: Payload) -> Json:
    custom = payload.get("custom_attributes") or {}
    profile = {key: value for key, value in custom.items() if key not in _OWN_NAMES}
    profile |= {key: value for key, value in payload.items() if key not in _NOT_SENT}
    profile |= person(payload)
    for key in (*_INSTANTS, "dob"):
        if payload.get(key) is not None:
            text = iso_text(payload[key])
            profile[key] = text[:10] if text and key == "dob" else text
            if text is None:
                del profile[key]
    if payload.get("gender"):
        profile["gender"] = _gender(payload["gender"])
    if payload.get("subscription_groups"):
        profile["subscription_groups"] = payload["subscription_groups"]
    place = payload.get("current_location", {})
    if place != {}:
        profile["current_location"] = place
    return profile


def _gender(text: str) -> str:
    return next((letter for letter, words in _GENDERS.items() if text.lower() in words), text)


def _time(payload: Payload) -> dict[str, Json]:
    text = iso_text(payload["time"])
    return {} if text is None else {"time": text}


def _app(call: Call) -> dict[str, Json]:
    app = call.settings.get("app_id")
    return {"app_id": app} if app else {}


def _kept(payload: Payload, *keys: str) -> dict[str, Json]:
    return {key: payload[key] for key in keys if key in payload}
