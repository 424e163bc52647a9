"""HubSpot: contacts, companies, other records and events."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.hubspot import companies, contacts, records
from penstock.destinations.catalog.hubspot.properties import ROOT
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_OWN = Field(
    "properties",
    "Other properties",
    "object",
    help="By HubSpot's internal names; properties of your own must exist there.",
)
_ZIP = ("traits.address.postalCode", "traits.address.postal_code")
_STAGE = Field(
    "lifecyclestage",
    "Lifecycle stage",
    help="Of a contact it is also moved backwards.",
)

_CONTACT = (
    Field(
        "email",
        "E-mail",
        help="HubSpot knows the contact by it.",
        required=True,
        format="email",
        default=path("traits.email"),
    ),
    mapped("company", "Company", "traits.company"),
    mapped("firstname", "First name", "traits.first_name", "traits.firstName"),
    mapped("lastname", "Last name", "traits.last_name", "traits.lastName"),
    mapped("phone", "Telephone number", "traits.phone"),
    mapped("address", "Street", "traits.address.street"),
    mapped("city", "City", "traits.address.city"),
    mapped("state", "State", "traits.address.state"),
    mapped("country", "Country", "traits.address.country"),
    mapped("zip", "Postal code", *_ZIP),
    mapped("website", "Website", "traits.website"),
    _STAGE,
    _OWN,
)
_COMPANY = (
    mapped("groupid", "Your id of the company", "groupId", "context.groupId", required=True),
    Field(
        "createNewCompany",
        "Create the company when it is not found",
        "boolean",
        required=True,
        default=True,
    ),
    Field(
        "associateContact",
        "Add the contact to the company",
        "boolean",
        help="Needs the contact's e-mail.",
        required=True,
        default=True,
    ),
    Field(
        "contact_email",
        "E-mail of the contact",
        help="The contact must be in HubSpot; until it is, the event is tried again.",
        format="email",
    ),
    Field(
        "companysearchfields",
        "Search fields",
        "object",
        help="Properties that find the company when your id does not; any of them is enough.",
    ),
    mapped("name", "Name", "traits.name"),
    mapped("description", "Description", "traits.description"),
    mapped("address", "Street", "traits.address.street"),
    mapped("city", "City", "traits.address.city"),
    mapped("state", "State", "traits.address.state"),
    mapped("zip", "Postal code", *_ZIP),
    mapped("domain", "Domain", "traits.website"),
    mapped("phone", "Telephone number", "traits.phone"),
    mapped("numberofemployees", "Employees", "traits.employees", type="integer"),
    mapped("industry", "Industry", "traits.industry"),
    Field("lifecyclestage", "Lifecycle stage"),
    _OWN,
)
_RECORD = (
    Field(
        "createNewCustomRecord",
        "Create the record when it is not found",
        "boolean",
        default=True,
    ),
    Field("customObjectSearchFields", "Search fields", "object", help="Any of them is enough."),
    Field(
        "objectType",
        "Kind of object",
        help="deals, tickets, or the full name of an object of your own.",
        required=True,
    ),
    replace(_OWN, required=True),
    Field(
        "searchFieldsToAssociateCustomObjects",
        "Search fields of the record to associate",
        "object",
    ),
    Field("toObjectType", "Kind of the record to associate"),
    Field(
        "associationLabel",
        "Kind of association",
        help="Category and number, such as HUBSPOT_DEFINED:5.",
    ),
)
_EVENT = (
    Field(
        "eventName",
        "Event name",
        help="HubSpot's internal name, with its beginning pe<hub id>_; it must be defined there.",
        required=True,
    ),
    mapped("occurredAt", "Time", "timestamp", type="datetime"),
    Field(
        "email",
        "E-mail",
        format="email",
        default=either("properties.email", "context.traits.email"),
    ),
    Field("utk", "HubSpot's cookie", help="The value of the cookie hubspotutk."),
    Field("objectId", "HubSpot's id of the contact or other record"),
    Field("properties", "Properties", "object", help="By HubSpot's internal names."),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    headers = {"authorization": f"Bearer {settings['accessToken']}"}
    return replace(request, headers={**request.headers, **headers})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{ROOT}/crm/v3/objects/contacts", query={"limit": "1"})


DESTINATION = Destination(
    slug="hubspot",
    name="HubSpot",
    aliases=("HubSpot Cloud Mode (Actions)", "HubSpot Cloud Mode"),
    help="Contacts, companies, deals, tickets, records of your own objects, and events of "
    "HubSpot's CRM.",
    website="https://www.hubspot.com",
    sources=(
        "https://developers.hubspot.com/docs/api/crm/contacts",
        "https://developers.hubspot.com/docs/api/crm/companies",
        "https://developers.hubspot.com/docs/api/crm/search",
        "https://developers.hubspot.com/docs/api/crm/associations",
        "https://developers.hubspot.com/docs/api/events/send-event-completions",
        "https://developers.hubspot.com/docs/api/private-apps",
        "https://developers.hubspot.com/docs/api/usage-details",
    ),
    settings=(
        Setting(
            "accessToken",
            "Access token",
            help="Of a private app: HubSpot, Settings, Integrations, Private apps. Scopes: "
            "reading and writing contacts and companies, their schemas, and whatever else you "
            "send.",
            required=True,
            secret=True,
            example="pat-na1-example",
        ),
        Setting("portalId", "Hub id", help="Event names must then begin with it."),
    ),
    actions=(
        Action(
            "upsertContact",
            "Create or update a contact",
            contacts.upsert,
            trigger='type = "identify"',
            fields=_CONTACT,
            batch=Batch(100, on=False),
        ),
        Action(
            "upsertCompany",
            "Create or update a company",
            companies.upsert,
            help="Found by your group id, which HubSpot keeps in the property segment_group_id.",
            trigger='type = "group"',
            fields=_COMPANY,
            internal=(
                "createNewCompany",
                "associateContact",
                "contact_email",
                "companysearchfields",
            ),
        ),
        Action(
            "sendCustomBehavioralEvent",
            "Send an event",
            records.send_event,
            trigger='type = "track"',
            fields=_EVENT,
        ),
        Action(
            "upsertCustomObjectRecord",
            "Create or update a record",
            records.upsert,
            help="A deal, a ticket or a record of an object of your own.",
            trigger='type = "track"',
            fields=_RECORD,
        ),
    ),
    presets=(
        Preset("Contacts", "upsertContact"),
        Preset(
            "Companies",
            "upsertCompany",
            fields={
                "associateContact": {
                    "@if": {"exists": path("context.traits.email"), "then": True, "else": False}
                },
                "contact_email": path("context.traits.email"),
            },
        ),
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the token of a test account, which HubSpot offers beside each real one.",
    limits=(
        "100 requests each 10 seconds for a private app (190 in the larger subscriptions), and 4 "
        "searches a second; beyond, HubSpot answers 429.",
        "100 contacts a batch; 1,250 events a second.",
        "What was created a moment ago may be missing from search.",
        "Properties, objects and events must be defined in HubSpot first.",
    ),
    requests_per_second=10.0,
)
