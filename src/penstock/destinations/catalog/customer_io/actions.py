"""Fields and triggers of what Customer.io can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.customer_io import operations as do
from penstock.destinations.catalog.customer_io.entities import Operation, operations
from penstock.destinations.contract import Action, Batch, Choice, Field, Payload

__all__ = ["ACTIONS"]

_ID_HELP = "An id of yours, an e-mail address, or cio_ and an id of Customer.io."
_OTHER_MEANING = (
    "Application Installed",
    "Application Opened",
    "Application Uninstalled",
    "Device Created or Updated",
    "Device Deleted",
    "Relationship Deleted",
    "User Deleted",
    "User Suppressed",
    "User Unsuppressed",
    "Object Deleted",
    "Report Delivery Event",
    "Report Content Event",
)
"""Events that mean another action than the event's being recorded."""


def _named(*events: str) -> str:
    return " or ".join(f'event = "{name}"' for name in events)


_PERSON = Field("person_id", "Person", help=_ID_HELP, required=True, default=path("userId"))
_ID = Field("id", "Person", help=_ID_HELP, default=path("userId"))
_ANONYMOUS = Field("anonymous_id", "Anonymous id", default=path("anonymousId"))
_EVENT_ID = Field(
    "event_id",
    "Event id",
    help="Customer.io counts an event once for each id; it must be a ULID for that.",
    default=path("messageId"),
)
_TIME = Field("timestamp", "Time", default=path("timestamp"))
_DATA = Field("data", "Attributes", "object", default=path("properties"))
_CONVERT = Field(
    "convert_timestamp",
    "Dates as numbers",
    "boolean",
    "ISO 8601 texts become seconds since 1970, which Customer.io knows as dates.",
    default=True,
)
_CREATED = Field(
    "created_at", "Created at", default=either("traits.created_at", "traits.createdAt")
)
_RELATED = Field(
    "relationship_attributes",
    "Attributes of the relationship",
    "object",
    default=path("traits.relationshipAttributes"),
)
_OBJECT = Field("object_id", "Object", default=path("properties.objectId"))


def _object_type(of: str) -> Field:
    return Field(
        "object_type_id",
        "Type of the object",
        help="A number that Customer.io gave the type; 1 unless mapped.",
        default=either(f"{of}.object_type_id", f"{of}.objectTypeId"),
    )


def _action(
    slug: str,
    name: str,
    make: Callable[[Payload], Operation],
    trigger: str,
    *fields: Field,
    help: str = "",
    batches: tuple[str, ...] = (),
) -> Action:
    return Action(
        slug,
        name,
        operations(make, batches),
        help,
        trigger,
        fields,
        batch=Batch(100, bytes=400_000),
        internal=("convert_timestamp",) if _CONVERT in fields else (),
    )


ACTIONS = (
    _action(
        "createUpdatePerson",
        "Create or update a person",
        do.identify_person,
        'type = "identify"',
        replace(_ID, default=either("userId", "traits.email")),
        _ANONYMOUS,
        Field("email", "E-mail", default={"@template": "{{traits.email}}"}),
        _CREATED,
        Field("group_id", "Object that they belong to", default=path("traits.objectId")),
        _object_type("traits"),
        Field("custom_attributes", "Attributes", "object", default=path("traits")),
        _RELATED,
        _TIME,
        _CONVERT,
        help="Attributes are added or changed, never removed.",
    ),
    _action(
        "createUpdateDevice",
        "Create or update a device",
        do.add_device,
        _named("Application Installed", "Application Opened", "Device Created or Updated"),
        _PERSON,
        Field("device_id", "Token", required=True, default=path("context.device.token")),
        Field(
            "platform",
            "Platform",
            help="ios or android.",
            required=True,
            default=path("context.device.type"),
        ),
        Field("app_version", "Version of the app", default=path("context.app.version")),
        Field("last_used", "Last used", default=path("timestamp")),
        Field("attributes", "Attributes", "object", default=path("properties")),
        _CONVERT,
    ),
    _action(
        "deleteDevice",
        "Delete a device",
        do.delete_device,
        _named("Application Uninstalled", "Device Deleted"),
        _PERSON,
        Field("device_id", "Token", required=True, default=path("context.device.token")),
    ),
    _action(
        "deleteRelationship",
        "Delete a relationship",
        do.delete_relationship,
        _named("Relationship Deleted"),
        _PERSON,
        _ANONYMOUS,
        replace(_OBJECT, required=True),
        _object_type("properties"),
        help="Between a person and an object; both stay.",
    ),
    _action("deletePerson", "Delete a person", do.delete_person, _named("User Deleted"), _PERSON),
    _action(
        "deleteObject",
        "Delete an object",
        do.delete_object,
        _named("Object Deleted"),
        _OBJECT,
        _object_type("properties"),
    ),
    _action(
        "trackEvent",
        "Track an event",
        do.event,
        " and ".join(('type = "track"', *(f'event != "{name}"' for name in _OTHER_MEANING))),
        _ID,
        _ANONYMOUS,
        Field("name", "Event name", required=True, default=path("event")),
        _EVENT_ID,
        _TIME,
        _DATA,
        _CONVERT,
    ),
    _action(
        "trackPageView",
        "Track a page",
        do.page,
        'type = "page"',
        _ID,
        _ANONYMOUS,
        _EVENT_ID,
        Field("url", "Address", required=True, default=path("properties.url")),
        _TIME,
        _DATA,
        _CONVERT,
    ),
    _action(
        "trackScreenView",
        "Track a screen",
        do.screen,
        'type = "screen"',
        _ID,
        _ANONYMOUS,
        _EVENT_ID,
        Field("name", "Name of the screen", required=True, default=path("name")),
        _TIME,
        _DATA,
        _CONVERT,
    ),
    _action(
        "createUpdateObject",
        "Create or update an object",
        do.identify_object,
        'type = "group"',
        Field("id", "Object", required=True, default=path("groupId")),
        _CREATED,
        Field("custom_attributes", "Attributes", "object", default=path("traits.objectAttributes")),
        _RELATED,
        Field("user_id", "Person who belongs to it", help=_ID_HELP, default=path("userId")),
        _ANONYMOUS,
        _object_type("traits"),
        _CONVERT,
        help="An object is what people belong to, such as a company or a course.",
        batches=("identify", "identify_anonymous"),
    ),
    _action(
        "mergePeople",
        "Merge two people",
        do.merge,
        'type = "alias"',
        Field("primary", "Who stays", help=_ID_HELP, required=True, default=path("userId")),
        Field("secondary", "Who goes", help=_ID_HELP, required=True, default=path("previousId")),
        help="The second person's data goes to the first, and the second is deleted.",
    ),
    _action(
        "suppressPerson",
        "Suppress a person",
        do.suppress,
        _named("User Suppressed"),
        _PERSON,
        help="Deletes the person and takes nothing more of them.",
    ),
    _action(
        "unsuppressPerson",
        "Unsuppress a person",
        do.unsuppress,
        _named("User Unsuppressed"),
        _PERSON,
    ),
    Action(
        "reportDeliveryEvent",
        "Report on a message",
        do.report_delivery,
        "What became of a message that Customer.io sent.",
        _named("Report Delivery Event"),
        (
            Field(
                "delivery_id", "Delivery id", required=True, default=path("properties.deliveryId")
            ),
            Field(
                "metric",
                "What happened",
                required=True,
                choices=tuple(
                    Choice(value)
                    for value in (
                        "delivered",
                        "opened",
                        "clicked",
                        "converted",
                        "spammed",
                        "bounced",
                        "dropped",
                        "deferred",
                    )
                ),
                default=path("properties.metric"),
            ),
            Field("recipient", "Recipient", default=path("properties.recipient")),
            Field("reason", "Reason of a failure", default=path("properties.reason")),
            Field("href", "Link that was clicked", default=path("properties.href")),
            Field("action_name", "Action in the app", default=path("properties.actionName")),
            Field("action_value", "Value of the action", default=path("properties.actionValue")),
            Field("timestamp", "Time", "datetime", format="date-time", default=path("timestamp")),
        ),
    ),
    _action(
        "reportContentEvent",
        "Report on content",
        do.report_content,
        _named("Report Content Event"),
        _ANONYMOUS,
        Field(
            "actionType",
            "What happened",
            required=True,
            choices=(Choice("viewed_content", "Seen"), Choice("clicked_content", "Clicked")),
            default=path("properties.actionType"),
        ),
        _TIME,
        _DATA,
        _CONVERT,
    ),
)
