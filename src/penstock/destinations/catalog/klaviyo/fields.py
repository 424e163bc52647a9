"""What mappings to Klaviyo fill in."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.common.places import COUNTRY_CODES
from penstock.destinations.catalog.klaviyo.requests import EXTERNAL_ID_LENGTH
from penstock.destinations.contract import Choice, Field, Json

__all__ = [
    "ADDED",
    "EVENT",
    "ORDER",
    "REMOVED",
    "REMOVED_BY_AUDIENCE",
    "SUBSCRIBED",
    "UNSUBSCRIBED",
    "UPSERTED",
]

_NEWER = ("bq", "cw", "kp", "ss", "sx", "un")
_WHO = "One of e-mail, external id and telephone number is needed."
_COUNTRY = Field(
    "country_code",
    "Country of the telephone number",
    help="Two letters. Makes a number written as at home one with the country's code.",
    choices=tuple(Choice(code.upper()) for code in sorted({*COUNTRY_CODES.values(), *_NEWER})),
)
_LIST = Field("list_id", "List", help="Klaviyo's id of the list.")
_AUDIENCE_LIST = Field(
    "list_id",
    "List",
    help="Klaviyo's id of the list.",
    required=True,
    default=either(
        "context.personas.audience_settings.listId", "context.personas.external_audience_id"
    ),
)
_EXTERNAL = Field("external_id", "External id", help=f"Your id of the person. {_WHO}")
_SHORT_EXTERNAL = Field(
    "external_id",
    "External id",
    help=f"Your id of the person. {_WHO}",
    minimum=0,
    maximum=EXTERNAL_ID_LENGTH,
)


def _email(default: Json) -> Field:
    return Field("email", "E-mail", help=_WHO, format="email", default=default)


def _phone(default: Json) -> Field:
    return Field(
        "phone_number",
        "Telephone number",
        help="Such as +14155550123; written otherwise it needs the country.",
        default=default,
    )


def _person(part: str) -> tuple[Field, ...]:
    """Who it is, from that part of the event."""
    parts = ("address1", "address2", "city", "region", "zip", "latitude", "longitude", "country")
    place = {
        "city": path(f"{part}.address.city"),
        "region": path(f"{part}.address.state"),
        "zip": path(f"{part}.address.postal_code"),
        "address1": path(f"{part}.address.street"),
        "country": path(f"{part}.address.country"),
    }
    return (
        mapped("first_name", "First name", f"{part}.firstName"),
        mapped("last_name", "Last name", f"{part}.lastName"),
        mapped("organization", "Company", f"{part}.company.name"),
        mapped("title", "Job title", f"{part}.title"),
        mapped("image", "Address of a picture", f"{part}.avatar"),
        Field(
            "location",
            "Address",
            "object",
            default=place,
            properties=tuple(Field(key, key.capitalize(), allow_null=True) for key in parts),
        ),
    )


_OWN = "Properties of your own."
UPSERTED = (
    _email(path("traits.email")),
    _phone(path("context.traits.phone")),
    _COUNTRY,
    _EXTERNAL,
    *_person("traits"),
    Field("properties", "Own properties", "object", _OWN, default=path("properties")),
    _LIST,
    Field(
        "override_list_id",
        "List for this event",
        help="Counts before the list.",
        default=path("integrations.Klaviyo.listId"),
    ),
)
ADDED = (
    _email(path("context.traits.email")),
    _phone(path("context.traits.phone")),
    _AUDIENCE_LIST,
    _SHORT_EXTERNAL,
    *_person("properties"),
    Field("properties", "Own properties", "object", _OWN, default=path("properties.properties")),
    _COUNTRY,
)
REMOVED_BY_AUDIENCE = (
    _email(path("context.traits.email")),
    _SHORT_EXTERNAL,
    _AUDIENCE_LIST,
    _phone(path("context.traits.phone")),
    _COUNTRY,
)
REMOVED = (
    _email(path("traits.email")),
    _EXTERNAL,
    Field("list_id", "List", help="Klaviyo's id of the list.", required=True),
    _phone(path("traits.phone")),
    _COUNTRY,
)
UNSUBSCRIBED = (
    _email(either("traits.email", "context.traits.email")),
    _phone(either("traits.phone", "context.traits.phone")),
    _COUNTRY,
    _LIST,
)
SUBSCRIBED = (
    *UNSUBSCRIBED,
    Field(
        "custom_source",
        "Source",
        help="How the consent was given; -59 stands for Segment.",
        default="-59",
    ),
    Field(
        "historical_import",
        "Consented earlier",
        "boolean",
        help="No confirmation is sent.",
        default=False,
    ),
    Field("consented_at", "Consented at", "datetime", default=path("timestamp")),
)


def _profile(email_format: str) -> Field:
    return Field(
        "profile",
        "Profile",
        "object",
        help="Who did it: e-mail, telephone number, external id or anonymous id.",
        required=True,
        default={
            "email": either("properties.email", "context.traits.email"),
            "external_id": path("userId"),
            "anonymous_id": path("anonymousId"),
        },
        properties=(
            Field("email", "E-mail", format=email_format),
            Field("phone_number", "Telephone number"),
            _COUNTRY,
            Field("external_id", "External id"),
            Field("anonymous_id", "Anonymous id"),
        ),
        additional_properties=True,
    )


_TOLD = (
    Field("properties", "Properties", "object", required=True, default=path("properties")),
    Field("time", "Time", "datetime", default=path("timestamp")),
    Field("value", "Amount", "number", help="What the event is worth."),
    Field(
        "unique_id",
        "Event id",
        help="Of several events of one profile with the same id Klaviyo keeps the first.",
        default=path("messageId"),
    ),
)
EVENT = (
    _profile("email"),
    Field(
        "metric_name",
        "Name of the event",
        help="At most 128 characters.",
        required=True,
        default=path("event"),
    ),
    *_TOLD,
)
ORDER = (
    _profile(""),
    *_TOLD,
    Field("products", "Products", "object", help="Each is told as an event.", multiple=True),
    Field("event_name", "Name of the order's event", default="Order Completed"),
    Field("product_event_name", "Name of a product's event", default="Ordered Product"),
)
