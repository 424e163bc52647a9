"""Zendesk: users, organizations, and events in the timelines of users."""

from __future__ import annotations

import base64
from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.zendesk.steps import (
    root,
    track_event,
    upsert_organization,
    upsert_user,
)
from penstock.destinations.contract import (
    Action,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_OWN = "By their keys in Zendesk, where they must exist; lists and objects are left out."

_USER = (
    mapped("external_id", "Your id", "userId"),
    mapped("email", "E-mail", "traits.email"),
    mapped("name", "Name", "traits.name", help="Or else first and last name; one is needed."),
    mapped("first_name", "First name", "traits.firstName", "traits.first_name"),
    mapped("last_name", "Last name", "traits.lastName", "traits.last_name"),
    mapped("phone", "Phone", "traits.phone"),
    Field("organization", "Name of the organization", help="It must exist."),
    Field("time_zone", "Time zone", help="As Zendesk names it, such as Copenhagen."),
    Field("locale", "Language", help="Such as de-DE."),
    Field("details", "Details"),
    Field("notes", "Notes"),
    Field("tags", "Tags", multiple=True, help="They take the place of those there are."),
    Field("user_fields", "Own fields", "object", _OWN),
)

_ORGANIZATION = (
    mapped("external_id", "Your id", "groupId", required=True),
    mapped("name", "Name", "traits.name", required=True, help="No two have the same."),
    mapped("domain_names", "Domains", "traits.domainNames", "traits.domain_names", multiple=True),
    Field("details", "Details"),
    Field("notes", "Notes"),
    Field("tags", "Tags", multiple=True, help="They take the place of those there are."),
    Field("organization_fields", "Own fields", "object", _OWN),
    mapped(
        "user_external_id",
        "Your id of the member",
        "userId",
        help="Who is to belong to the organization.",
    ),
    mapped(
        "user_name",
        "Name of the member",
        "context.traits.name",
        help="With it, a member whom Zendesk does not know is made there.",
    ),
    mapped("user_email", "E-mail of the member", "context.traits.email"),
)

_EVENT = (
    mapped(
        "name", "Event name", "event", required=True, help="Its type has the first 40 characters."
    ),
    mapped("external_id", "Your id of the user", "userId"),
    mapped("email", "E-mail of the user", "context.traits.email", "properties.email"),
    mapped("created_at", "Time", "timestamp", type="datetime"),
    mapped("properties", "Properties", "properties", type="object"),
    Field("profile_type", "Kind of profile", help="customer unless mapped."),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    pair = f"{settings['email']}/token:{settings['apiToken']}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return replace(request, headers={**request.headers, **basic})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{root(settings)}/user_fields.json", query={"page[size]": "1"})


DESTINATION = Destination(
    slug="zendesk",
    name="Zendesk",
    aliases=("Zendesk (Actions)", "Zendesk Support"),
    help="Creates and updates users and organizations in Zendesk, and shows agents the events of "
    "a user. New users get no mail from Zendesk unless the settings say so.",
    website="https://www.zendesk.com",
    settings=(
        Setting(
            "domain",
            "Subdomain",
            help="What stands before .zendesk.com.",
            required=True,
            pattern="[A-Za-z0-9][A-Za-z0-9-]*",
            example="toastmates",
        ),
        Setting(
            "email",
            "E-mail of an agent",
            help="Of the agent or admin in whose name it is done.",
            required=True,
            pattern=r"[^@\s:]+@[^@\s:]+",
            example="agent@toastmates.test",
        ),
        Setting(
            "apiToken",
            "API token",
            help="From Admin Center, Apps and integrations, APIs, Zendesk API.",
            required=True,
            secret=True,
            example="6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv",
        ),
        Setting(
            "verified",
            "Users are verified",
            "boolean",
            "Their e-mail counts as theirs without Zendesk asking.",
            default=False,
        ),
        Setting(
            "send_verification",
            "Write to new users",
            "boolean",
            "Zendesk asks them to confirm their e-mail.",
            default=False,
        ),
        Setting(
            "source",
            "Source of events",
            help="How agents see where an event comes from; not zendesk.",
            default="penstock",
            pattern=".{1,40}",
        ),
    ),
    actions=(
        Action(
            "upsertUser",
            "Create or update a user",
            upsert_user,
            help="Found by e-mail or your id.",
            trigger='type = "identify"',
            fields=_USER,
            internal=("first_name", "last_name"),
        ),
        Action(
            "upsertOrganization",
            "Create or update an organization",
            upsert_organization,
            help="Found by your id; the user is added to it.",
            trigger='type = "group"',
            fields=_ORGANIZATION,
            internal=("user_external_id", "user_name", "user_email"),
        ),
        Action(
            "trackEvent",
            "Tell an event",
            track_event,
            help="Needs a Suite plan with the Events API turned on in the Admin Center. Zendesk "
            "makes a user whom it does not know.",
            trigger='type = "track"',
            fields=_EVENT,
        ),
    ),
    presets=(
        Preset("Create or update a user", "upsertUser"),
        Preset("Create or update an organization", "upsertOrganization"),
    ),
    sources=(
        "https://developer.zendesk.com/api-reference/ticketing/users/users/",
        "https://developer.zendesk.com/api-reference/ticketing/organizations/organizations/",
        "https://developer.zendesk.com/api-reference/ticketing/organizations/organization_memberships/",
        "https://developer.zendesk.com/api-reference/ticketing/users/events-api/events-api/",
        "https://developer.zendesk.com/documentation/ticketing/events/tracking-events",
        "https://developer.zendesk.com/api-reference/introduction/rate-limits/",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the subdomain of a sandbox, which Enterprise plans have, or of a trial account.",
    limits=(
        "200 to 2,500 requests a minute by plan; beyond, Zendesk answers 429 with Retry-After.",
        "A user and an organization may be updated only a few times a minute each.",
        "A group call takes up to four requests: the organization, the user, the memberships, and "
        "the new one.",
        "The name of an organization is unique.",
    ),
    requests_per_second=3.0,
    concurrency=3,
)
