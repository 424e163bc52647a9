"""What TikTok can be told of an event."""

from __future__ import annotations

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.contract import Choice, Field

__all__ = ["FIELDS", "PLAIN", "TRAVEL", "VEHICLE"]

_STATES_OF_CAR = ("New", "Used", "CPO")
_CONDITIONS = ("Excellent", "Good", "Fair", "Poor", "Other")
_BODIES = (
    "Convertible",
    "Coupe",
    "Hatchback",
    "Minivan",
    "Truck",
    "SUV",
    "Sedan",
    "Van",
    "Wagon",
    "Crossover",
    "Other",
)


def _choices(*values: str) -> tuple[Choice, ...]:
    return tuple(Choice(value) for value in values)


def _of_person(key: str, label: str, name: str, multiple: bool = False) -> Field:
    where = (f"properties.{name}", f"context.traits.{name}")
    return mapped(key, label, *where, help="Hashed.", multiple=multiple)


_PLACE = (
    Field("city", "City"),
    Field("country", "Country"),
    Field("zip_code", "Postal code", help="Hashed."),
    Field("state", "State"),
)
_ADDRESS_PATHS = {
    "city": "city",
    "country": "country",
    "zip_code": "postal_code",
    "state": "state",
}
_WHO = (
    _of_person("phone_number", "Phone", "phone", multiple=True),
    _of_person("email", "E-mail", "email", multiple=True),
    _of_person("first_name", "First name", "first_name"),
    _of_person("last_name", "Last name", "last_name"),
    Field(
        "address",
        "Address",
        "object",
        properties=_PLACE,
        default={
            key: either(f"properties.address.{name}", f"context.traits.address.{name}")
            for key, name in _ADDRESS_PATHS.items()
        },
    ),
    mapped("external_id", "Your ids", "userId", "anonymousId", multiple=True, help="Hashed."),
    mapped(
        "ttclid",
        "Click id",
        "properties.ttclid",
        "integrations.TikTok Conversions.ttclid",
        help="One in the page's address goes before it.",
    ),
    mapped(
        "ttp",
        "Browser id",
        "properties.ttp",
        "integrations.TikTok Conversions.ttp",
        help="Cookie _ttp.",
    ),
    mapped("locale", "Locale", "context.locale"),
    mapped("url", "Page", "context.page.url"),
    mapped("referrer", "Referrer", "context.page.referrer"),
    mapped("ip", "IP address", "context.ip"),
    mapped("user_agent", "User agent", "context.userAgent"),
)

_SHOPPING = (
    mapped("order_id", "Order id", "properties.order_id"),
    mapped("shop_id", "Shop id", "properties.shop_id"),
    mapped("content_ids", "Ids of contents", "properties.content_ids", multiple=True),
    mapped("num_items", "Number of items", "properties.num_items", type="number"),
    Field(
        "content_type",
        "Type of contents",
        choices=_choices("product", "product_group"),
        default="product",
    ),
    mapped("currency", "Currency", "properties.currency", help="Three letters."),
    mapped("value", "Value", "properties.value", "properties.revenue", type="number"),
    Field("description", "Description"),
    mapped("query", "Query", "properties.query"),
    mapped(
        "delivery_category",
        "Delivery",
        "properties.delivery_category",
        choices=_choices("in_store", "curbside", "home_delivery"),
    ),
    mapped("predicted_ltv", "Predicted lifetime value", "properties.predicted_ltv", type="number"),
    mapped("search_string", "Words searched for", "properties.search_string"),
)
PLAIN = tuple(field.key for field in _SHOPPING)
"""Fields that go into ``properties`` as they are."""

_CONTENTS = Field(
    "contents",
    "Contents",
    "object",
    multiple=True,
    properties=(
        Field("price", "Price", "number"),
        Field("quantity", "Quantity", "number"),
        Field("content_category", "Category"),
        Field("content_id", "Product id"),
        Field("content_name", "Name"),
        Field("brand", "Brand"),
    ),
)

_CAR = (
    Field("postal_code", "Postal code"),
    Field("make", "Make"),
    Field("model", "Model"),
    Field("year", "Year", "number"),
    Field("state_of_vehicle", "State", choices=_choices(*_STATES_OF_CAR)),
    Field("mileage_value", "Mileage", "number"),
    Field("mileage_unit", "Unit of mileage", choices=_choices("MI", "KM")),
    Field("exterior_color", "Exterior color"),
    Field("transmission", "Transmission", choices=_choices("Automatic", "Manual", "Other")),
    Field("body_style", "Body", choices=_choices(*_BODIES)),
    Field(
        "fuel_type",
        "Fuel",
        choices=_choices("Diesel", "Electric", "Flex", "Gasoline", "Hybrid", "Other"),
    ),
    Field(
        "drivetrain",
        "Drivetrain",
        choices=_choices("AWD", "FOUR_WD", "FWD", "RWD", "TWO_WD", "Other"),
    ),
    Field("preferred_price_range_min", "Least price", "number"),
    Field("preferred_price_range_max", "Most price", "number"),
    Field("trim", "Trim"),
    Field("vin", "Vehicle identification number"),
    Field("interior_color", "Interior color"),
    Field("condition_of_vehicle", "Condition", choices=_choices(*_CONDITIONS)),
    Field("viewcontent_type", "Type of view"),
    Field("search_type", "Type of search"),
    Field("registration_type", "Type of registration"),
)
VEHICLE = tuple(field.key for field in _CAR)
"""Fields of vehicles."""

_TRIP = (
    Field("city", "City"),
    Field("region", "Region"),
    Field("country", "Country"),
    Field("checkin_date", "Check-in"),
    Field("checkout_date", "Check-out"),
    Field("num_adults", "Adults", "number"),
    Field("num_children", "Children", "number"),
    Field("num_infants", "Infants", "number"),
    Field("suggested_hotels", "Suggested hotels", multiple=True),
    Field("departing_departure_date", "Departure"),
    Field("returning_departure_date", "Departure of the return"),
    Field("origin_airport", "From airport"),
    Field("destination_airport", "To airport"),
    Field("destination_ids", "Destinations", multiple=True),
    Field("departing_arrival_date", "Arrival"),
    Field("returning_arrival_date", "Arrival of the return"),
    Field("travel_class", "Class", choices=_choices("eco", "prem", "bus", "first")),
    Field("user_score", "Value of the customer", "number"),
    Field("preferred_num_stops", "Stops", "integer"),
    Field("travel_start", "Start of the trip"),
    Field("travel_end", "End of the trip"),
    Field("suggested_destinations", "Suggested destinations", multiple=True),
)
TRAVEL = tuple(field.key for field in _TRIP)
"""Fields of journeys."""

_PATHS = {"drivetrain": "drive_train"}


def _from_properties(key: str, label: str, fields: tuple[Field, ...]) -> Field:
    default = {
        field.key: path(f"properties.{_PATHS.get(field.key, field.key)}") for field in fields
    }
    return Field(key, label, "object", properties=fields, default=default)


FIELDS = (
    Field(
        "event_source",
        "Where it happened",
        choices=(Choice("web", "On the website"), Choice("crm", "In the CRM")),
        default="web",
    ),
    Field(
        "event_spec_type",
        "Kind of shop",
        help="Sends the fields of journeys or of vehicles, for events of a website.",
        choices=(Choice("travel_fields", "Travel"), Choice("vehicle_fields", "Vehicles")),
    ),
    Field("event", "Event", help="TikTok's name, or one of your own.", required=True),
    mapped("event_id", "Event id", "messageId", help="The pixel's events with it count once."),
    mapped("timestamp", "Time", "timestamp"),
    *_WHO,
    _CONTENTS,
    *_SHOPPING,
    mapped("limited_data_use", "Limit use", "properties.limited_data_use", type="boolean"),
    Field("test_event_code", "Test event code", help="Goes before that of the settings."),
    _from_properties(
        "lead_fields",
        "Lead",
        (Field("lead_id", "Lead id"), Field("lead_event_source", "Name of the CRM")),
    ),
    _from_properties("vehicle_fields", "Vehicle", _CAR),
    _from_properties("travel_fields", "Journey", _TRIP),
)
"""All of them."""
