"""Intercom: contacts, companies and events."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import path
from penstock.destinations.catalog.intercom.steps import (
    identify_company,
    identify_contact,
    root,
    track_event,
)
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_ATTRIBUTES = (
    "Only attributes that exist in Intercom; create them there first, below Settings, Data."
)

_CONTACT = (
    Field(
        "role",
        "Role",
        help="The preset says user.",
        required=True,
        choices=(Choice("user", "User"), Choice("lead", "Lead")),
    ),
    Field("external_id", "Your id", help="Not for leads.", default=path("userId")),
    Field("email", "E-mail", format="email", default=path("traits.email")),
    Field("phone", "Phone", default=path("traits.phone")),
    Field("name", "Name", default=path("traits.name")),
    Field("avatar", "Address of a picture", format="uri", default=path("traits.avatar")),
    Field("signed_up_at", "Signed up at", "datetime"),
    Field("last_seen_at", "Last seen at", "datetime", default=path("timestamp")),
    Field("owner_id", "Id of the owner", "number", "Of an admin of your workspace."),
    Field("unsubscribed_from_emails", "Wants no e-mail", "boolean"),
    Field("custom_attributes", "Own attributes", "object", _ATTRIBUTES),
)

_COMPANY = (
    Field("company_id", "Your id of the company", required=True, default=path("groupId")),
    Field("external_id", "Your id of the contact", default=path("userId")),
    Field("email", "E-mail of the contact", format="email", default=path("traits.email")),
    Field("contact_id", "Intercom's id of the contact", help="Saves the search for the contact."),
    Field("name", "Name", default=path("traits.name")),
    Field("remote_created_at", "Founded at", "datetime", default=path("traits.createdAt")),
    Field("monthly_spend", "Spent a month", "number", default=path("traits.monthly_spend")),
    Field("plan", "Plan", default=path("traits.plan")),
    Field("size", "Employees", "number", default=path("traits.employees")),
    Field("website", "Website", default=path("traits.website")),
    Field("industry", "Industry", default=path("traits.industry")),
    Field("custom_attributes", "Own attributes", "object", _ATTRIBUTES),
)

_EVENT = (
    Field("event_name", "Event name", required=True, default=path("event")),
    Field("created_at", "Time", "datetime", required=True, default=path("timestamp")),
    Field("user_id", "Your id of the user", default=path("userId")),
    Field("email", "E-mail", format="email", default=path("properties.email")),
    Field("id", "Intercom's id of the contact"),
    Field(
        "revenue",
        "Amount",
        "number",
        "Becomes metadata.price, in hundredths.",
        default=path("properties.revenue"),
    ),
    Field("currency", "Currency", help="USD if absent.", default=path("properties.currency")),
    Field(
        "metadata",
        "Properties",
        "object",
        "Intercom keeps ten, and none that are nested.",
        default=path("properties"),
    ),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    headers = {"Authorization": f"Bearer {settings['accessToken']}", "Accept": "application/json"}
    return replace(request, headers={**request.headers, **headers})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{root(settings)}/me")


DESTINATION = Destination(
    slug="intercom",
    name="Intercom",
    aliases=("Intercom Cloud Mode (Actions)", "Intercom Cloud Mode"),
    help="Creates and updates contacts and companies in Intercom and tells it their events. Each "
    "contact is searched first, so that none is made twice.",
    website="https://www.intercom.com",
    settings=(
        Setting(
            "accessToken",
            "Access token",
            help="From Developer Hub, your app, Configure, Authentication.",
            required=True,
            secret=True,
            example="dG9rOmV4YW1wbGU=",
        ),
        Setting(
            "region",
            "Region",
            help="Where Intercom hosts your workspace.",
            default="US",
            choices=(Choice("US", "USA"), Choice("EU", "Europe"), Choice("AU", "Australia")),
        ),
    ),
    actions=(
        Action(
            "identifyContact",
            "Identify a contact",
            identify_contact,
            help="Creates or updates a user or lead.",
            trigger='type = "identify"',
            fields=_CONTACT,
        ),
        Action(
            "groupIdentifyContact",
            "Identify a company",
            identify_company,
            help="Creates or updates a company and adds the contact to it. Intercom shows "
            "a company only once it has a contact.",
            trigger='type = "group"',
            fields=_COMPANY,
            internal=("external_id", "email", "contact_id"),
        ),
        Action(
            "trackEvent",
            "Track an event",
            track_event,
            help="Tells an event of a contact.",
            trigger='type = "track"',
            fields=_EVENT,
            internal=("revenue", "currency"),
        ),
    ),
    presets=(
        Preset("Identify a contact", "identifyContact", fields={"role": "user"}),
        Preset("Identify a company", "groupIdentifyContact"),
        Preset("Track an event", "trackEvent"),
    ),
    sources=(
        "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts",
        "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/companies",
        "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-events",
        "https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis/rate-limiting",
        "https://developers.intercom.com/building-apps/docs/rest-apis",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the token of a test workspace, which Intercom offers beside each real one.",
    limits=(
        "10,000 requests a minute for an app and 25,000 for a workspace, spread over windows of "
        "10 seconds; beyond, Intercom answers 429.",
        "Ten properties of an event are kept, and none that are nested.",
        "A contact made a moment ago may be missing from search: Intercom then answers 409, and "
        "the event is tried again.",
    ),
    requests_per_second=160.0,
)
