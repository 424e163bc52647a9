"""What Google Ads can be told of a conversion."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import elements, path
from penstock.destinations.contract import Choice, Field

__all__ = ["ADJUSTMENT", "CALL", "CLICK"]

_CONSENTS = (Choice("GRANTED"), Choice("DENIED"), Choice("UNSPECIFIED"))
_TIME = "The zone must be told: 2024-05-03T10:20:00Z or 2024-05-03 10:20:00+02:00."
_ACTION = Field(
    "conversion_action",
    "Conversion action",
    "integer",
    help="Its id: ctId in the address of its page in Google Ads.",
    required=True,
)
_CONVERTED = mapped(
    "conversion_timestamp", "Time of the conversion", "timestamp", required=True, help=_TIME
)
_CONSENT = (
    Field("ad_user_data_consent_state", "Consent to use of data", choices=_CONSENTS),
    Field("ad_personalization_consent_state", "Consent to personal ads", choices=_CONSENTS),
)
_WORTH = (
    mapped("value", "Value", "properties.total", type="number"),
    mapped("currency", "Currency", "properties.currency", help="Three letters."),
)
_OWN = Field(
    "custom_variables",
    "Custom variables",
    "object",
    help="By their names in Google Ads; names it does not know are left out.",
)
_ORDER = mapped("order_id", "Order id", "properties.orderId", "properties.order_id")


def _person(key: str, label: str, name: str, help: str = "") -> Field:
    return mapped(key, label, f"properties.{name}", f"context.traits.{name}", help=help)


_REACHED = (
    _person("email_address", "E-mail", "email", "Hashed."),
    Field(
        "phone_country_code",
        "Country code of the phone",
        help="Such as +47, for numbers without one. +1 when it is not given.",
    ),
    _person("phone_number", "Phone", "phone", "Hashed."),
)
_VISIT = {
    "gad_source": "properties.gad_source",
    "gad_campaignid": "properties.gad_campaignid",
    "landing_page_url": "context.page.url",
    "session_start_time_usec": "properties.session_start_time_usec",
    "landing_page_referrer": "context.page.referrer",
    "landing_page_user_agent": "context.userAgent",
}

CLICK = (
    _ACTION,
    Field("gclid", "Click id (gclid)"),
    Field("gbraid", "Click id of an app (gbraid)"),
    Field("wbraid", "Click id of the web on iOS (wbraid)"),
    mapped("user_ip_address", "IP address", "context.ip"),
    mapped(
        "session_attributes_encoded",
        "Visit, encoded",
        "integrations.Google Ads Conversions.session_attributes_encoded",
        help="As Google's code on the page makes it.",
    ),
    Field(
        "session_attributes_key_value_pairs",
        "Visit",
        "object",
        help="Used when the encoded form is not there.",
        properties=(
            Field("gad_source", "Source (gad_source)"),
            Field("gad_campaignid", "Campaign (gad_campaignid)"),
            Field("landing_page_url", "First page"),
            Field("session_start_time_usec", "Start", format="date-time"),
            Field("landing_page_referrer", "Referrer"),
            Field("landing_page_user_agent", "User agent"),
        ),
        default={key: path(where) for key, where in _VISIT.items()},
    ),
    _CONVERTED,
    *_REACHED,
    _ORDER,
    *_WORTH,
    Field(
        "conversion_environment",
        "Environment",
        help="Only for accounts that Google allows it.",
        choices=(Choice("APP"), Choice("WEB"), Choice("UNSPECIFIED")),
    ),
    Field("merchant_id", "Merchant Center id"),
    Field("merchant_country_code", "Country of the feed"),
    Field("merchant_language_code", "Language of the feed"),
    Field("local_cost", "Discounts of the whole cart", "number"),
    Field(
        "items",
        "Items",
        "object",
        multiple=True,
        properties=(
            Field("product_id", "Product id"),
            Field("quantity", "Quantity", "number"),
            Field("price", "Price", "number"),
        ),
        default=elements(
            "properties.products", product_id="product_id", quantity="quantity", price="price"
        ),
    ),
    _OWN,
    *_CONSENT,
)
"""Of conversions after a click."""

CALL = (
    _ACTION,
    Field("caller_id", "Caller", help="The telephone number, like +4722334455.", required=True),
    Field("call_timestamp", "Start of the call", help=_TIME, required=True),
    _CONVERTED,
    *_WORTH,
    _OWN,
    *_CONSENT,
)
"""Of conversions after a call."""

_PLACE = {
    "city": ("City", "city"),
    "state": ("State", "state"),
    "country": ("Country", "country"),
    "postal_code": ("Postal code", "postalCode"),
    "street_address": ("Street", "street"),
}

ADJUSTMENT = (
    _ACTION,
    Field(
        "adjustment_type",
        "Kind",
        choices=(
            Choice("RETRACTION", "It did not happen after all"),
            Choice("RESTATEMENT", "It has another value"),
            Choice("ENHANCEMENT", "Who it was"),
            Choice("UNSPECIFIED"),
            Choice("UNKNOWN"),
        ),
        required=True,
    ),
    mapped("adjustment_timestamp", "Time of the change", "timestamp", help=_TIME),
    _ORDER,
    Field("gclid", "Click id (gclid)", help="With the time of the conversion, without order id."),
    Field("conversion_timestamp", "Time of the conversion", help=_TIME),
    Field("restatement_value", "New value", "number"),
    Field("restatement_currency_code", "Currency of the new value"),
    *_REACHED,
    _person("first_name", "First name", "firstName", "Hashed."),
    _person("last_name", "Last name", "lastName", "Hashed."),
    *(
        _person(key, label, f"address.{name}", "Hashed." if key == "street_address" else "")
        for key, (label, name) in _PLACE.items()
    ),
    mapped("user_agent", "User agent", "context.userAgent", help="With enhancements."),
)
"""Of adjustments."""
