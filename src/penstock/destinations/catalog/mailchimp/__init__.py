"""Mailchimp: members of an audience, their tags and events."""

from __future__ import annotations

import base64
from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.common.paths import either
from penstock.destinations.catalog.mailchimp.members import (
    put_member,
    root,
    tag_member,
    tell_event,
    unsubscribe,
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

_STATUSES = tuple(
    Choice(each) for each in ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
)
_LIST = Field("list_id", "Audience", help="Where one mapping uses another than the settings say.")


def _email(*where: str) -> Field:
    return mapped("email", "E-mail", *where, required=True)


_OF_EVENT = _email("context.traits.email", "properties.email")

_MEMBER = (
    _email("traits.email", "context.traits.email"),
    mapped("first_name", "First name", "traits.firstName", "traits.first_name", help="FNAME."),
    mapped("last_name", "Last name", "traits.lastName", "traits.last_name", help="LNAME."),
    mapped("phone", "Phone", "traits.phone", help="PHONE."),
    mapped(
        "birthday", "Birthday", "traits.birthday", help="BIRTHDAY: a date, of which day and month."
    ),
    Field(
        "address",
        "Address",
        "object",
        "ADDRESS: Mailchimp takes it only with street, city, state and postal code.",
        properties=tuple(
            Field(key, label)
            for key, label in (
                ("addr1", "Street"),
                ("addr2", "Second line"),
                ("city", "City"),
                ("state", "State"),
                ("zip", "Postal code"),
                ("country", "Country"),
            )
        ),
        default={
            "addr1": either("traits.address.street", "traits.address.line1"),
            "addr2": either("traits.address.line2"),
            "city": either("traits.address.city"),
            "state": either("traits.address.state"),
            "zip": either("traits.address.postalCode", "traits.address.postal_code"),
            "country": either("traits.address.country"),
        },
    ),
    Field(
        "merge_fields",
        "Own merge fields",
        "object",
        "By tag, at most ten letters and digits. Fields that the audience has not are ignored.",
    ),
    Field(
        "status_if_new",
        "Status of new members",
        help="Unless mapped, subscribed, or pending where the settings ask for confirmation.",
        choices=_STATUSES,
    ),
    Field(
        "status",
        "Status",
        help="Also of members that exist: unmapped, nobody who unsubscribed gets mail again.",
        choices=_STATUSES,
    ),
    Field("email_type", "Kind of mail", choices=(Choice("html"), Choice("text"))),
    Field("language", "Language", help="Two letters, such as en."),
    Field("vip", "Is VIP", "boolean"),
    Field("interests", "Groups", "object", "True or false by the id of an interest."),
    _LIST,
)

_EVENT = (
    _OF_EVENT,
    mapped(
        "name",
        "Event name",
        "event",
        required=True,
        help="Spaces become underscores, and what is beyond 30 characters is cut.",
    ),
    mapped("properties", "Properties", "properties", type="object", help="All become texts."),
    mapped("occurred_at", "Time", "timestamp", type="datetime"),
    Field("is_syncing", "Starts no automation", "boolean", "For events of the past."),
    _LIST,
)

_HAS_EMAIL = "(context.traits.email != null or properties.email != null)"


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    pair = base64.b64encode(f"apiKey:{settings['apiKey']}".encode()).decode("ascii")
    return replace(request, headers={**request.headers, "Authorization": f"Basic {pair}"})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{root(settings)}/lists/{settings['listId']}", query={"fields": "id"})


DESTINATION = Destination(
    slug="mailchimp",
    name="Mailchimp",
    aliases=("MailChimp", "Mailchimp (Actions)"),
    help="Keeps the members of an audience up to date, and tells their events. Who unsubscribed "
    "in Mailchimp stays so.",
    website="https://mailchimp.com",
    settings=(
        Setting(
            "apiKey",
            "API key",
            help="From Account, Extras, API keys. What stands behind the dash is its data centre.",
            required=True,
            secret=True,
            pattern=".+-[a-z]{2,3}[0-9]+",
            example="0123456789abcdef0123456789abcdef-us6",
        ),
        Setting(
            "listId",
            "Audience id",
            help="From Audience, Settings, Audience name and defaults.",
            required=True,
            pattern="[A-Za-z0-9]+",
            example="a1b2c3d4e5",
        ),
        Setting(
            "datacenter",
            "Data centre",
            help="Only if it is not the one that the key names.",
            pattern="[a-z]{2,3}[0-9]+",
            example="us6",
        ),
        Setting(
            "double_opt_in",
            "Ask new members to confirm",
            "boolean",
            "Mailchimp writes to them; until they confirm they are pending.",
            default=False,
        ),
    ),
    actions=(
        Action(
            "upsertMember",
            "Add or update a member",
            put_member,
            trigger='type = "identify" and traits.email != null',
            fields=_MEMBER,
            internal=("list_id",),
        ),
        Action(
            "unsubscribe",
            "Unsubscribe a member",
            unsubscribe,
            help="Who is no member stays none.",
            trigger=f'type = "track" and event = "Unsubscribed" and {_HAS_EMAIL}',
            fields=(_OF_EVENT, _LIST),
            internal=("list_id",),
        ),
        Action(
            "trackEvent",
            "Tell an event",
            tell_event,
            help="An event of a member, which may start an automation. Mailchimp answers 404 "
            "when there is no such member.",
            trigger=f'type = "track" and event != "Unsubscribed" and {_HAS_EMAIL}',
            fields=_EVENT,
            internal=("list_id",),
        ),
        Action(
            "tagMember",
            "Tag a member",
            tag_member,
            trigger=f'type = "track" and {_HAS_EMAIL}',
            fields=(
                _OF_EVENT,
                Field("add", "Tags to add", multiple=True),
                Field("remove", "Tags to remove", multiple=True),
                _LIST,
            ),
            internal=("list_id",),
        ),
    ),
    presets=(
        Preset("Add or update a member", "upsertMember"),
        Preset("Unsubscribe a member", "unsubscribe"),
    ),
    sources=(
        "https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/",
        "https://mailchimp.com/developer/marketing/api/list-member-events/add-event/",
        "https://mailchimp.com/developer/marketing/api/list-member-tags/add-or-remove-member-tags/",
        "https://mailchimp.com/developer/marketing/docs/merge-fields/",
        "https://mailchimp.com/developer/marketing/docs/fundamentals/",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use an audience of your own; Mailchimp has no mode for tests.",
    limits=(
        "Ten requests at a time for a key; beyond, Mailchimp answers 429.",
        "The name of an event has 2 to 30 characters, its properties about 1,000 together.",
        "An address that looks false, and one that bounced or complained, is refused for good.",
    ),
    concurrency=10,
    timeout=30.0,
)
