"""SendGrid: contacts of marketing campaigns, and mails from templates."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import either, path
from penstock.destinations.catalog.sendgrid.contacts import upsert_contacts
from penstock.destinations.catalog.sendgrid.mails import send_mail
from penstock.destinations.catalog.sendgrid.regions import EUROPE, GLOBAL, root
from penstock.destinations.contract import (
    Action,
    Batch,
    Choice,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]


def _of(key: str, label: str, where: str, help: str = "") -> Field:
    default = either(f"traits.{where}", f"properties.{where}")
    return Field(key, label, help=help, allow_null=True, default=default)


_CONTACT = (
    _of("primary_email", "E-mail", "email"),
    _of("phone_number_id", "Phone as identifier", "phone"),
    _of("external_id", "Your id", "external_id"),
    Field("anonymous_id", "Anonymous id", allow_null=True, default=path("anonymousId")),
    _of("first_name", "First name", "first_name"),
    _of("last_name", "Last name", "last_name"),
    _of("phone_number", "Phone", "phone"),
    _of("address_line_1", "Address, line 1", "address.line1"),
    _of("address_line_2", "Address, line 2", "address.line2"),
    _of("city", "City", "address.city"),
    _of("state", "State or region", "address.state"),
    _of("postal_code", "Postal code", "address.postal_code"),
    _of("country", "Country", "address.country"),
    _of("whatsapp", "WhatsApp", "whatsapp"),
    _of("line", "Line", "line"),
    _of("facebook", "Facebook", "facebook"),
    _of("unique_name", "Unique name", "unique_name"),
    Field(
        "customFields",
        "Own fields",
        "object",
        "By their name or id in SendGrid, where they must exist.",
    ),
)


def _person(required: bool) -> tuple[Field, ...]:
    return (
        Field("email", "E-mail", required=required, format="email"),
        Field("name", "Name"),
    )


_MAIL = (
    Field("from", "Sender", "object", required=True, properties=_person(required=True)),
    Field(
        "to",
        "Recipient",
        "object",
        required=True,
        properties=_person(required=True),
        default={"email": path("properties.email"), "name": path("properties.name")},
    ),
    Field(
        "template_id",
        "Dynamic template",
        help="Its id, d-…, alone or in brackets behind its name.",
        required=True,
    ),
    Field(
        "dynamic_template_data",
        "Data of the template",
        "object",
        additional_properties=True,
    ),
    Field("cc", "Copies", "object", multiple=True, properties=_person(required=False)),
    Field("bcc", "Blind copies", "object", multiple=True, properties=_person(required=False)),
    Field(
        "reply_to",
        "Answers to",
        "object",
        "The sender unless mapped.",
        properties=_person(required=False),
    ),
    Field("domain", "Domain", help="If given, the sender's address must be of it."),
    Field("headers", "Headers", "object", additional_properties=True),
    Field("custom_args", "Own arguments", "object", additional_properties=True),
    Field(
        "send_at",
        "Send at",
        help="ISO 8601, within the next 72 hours.",
        format="date-time",
    ),
    Field("categories", "Categories", multiple=True, help="Up to ten."),
    Field("ip_pool_name", "Pool of IP addresses"),
    Field("group_id", "Unsubscribe group", help="Its number."),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    headers = {
        "Authorization": f"Bearer {settings['sendGridApiKey']}",
        "Accept": "application/json",
    }
    return replace(request, headers={**request.headers, **headers})


def _check(settings: Settings) -> Request:
    return Request("GET", f"{root(settings)}/v3/user/account")


DESTINATION = Destination(
    slug="sendgrid",
    name="SendGrid",
    aliases=("SendGrid (Actions)", "Actions SendGrid"),
    help="Adds and updates contacts for marketing campaigns, and sends mails from dynamic "
    "templates.",
    website="https://sendgrid.com",
    settings=(
        Setting(
            "sendGridApiKey",
            "API key",
            help="With access to Marketing, Mail Send and User Account; from Settings, API Keys.",
            required=True,
            secret=True,
            example="SG.example",
        ),
        Setting(
            "endpoint",
            "Region",
            help="Where SendGrid processes the data; Europe needs a subuser there.",
            default=GLOBAL,
            choices=(Choice(GLOBAL, "Global"), Choice(EUROPE, "Europe")),
        ),
        Setting(
            "sandbox",
            "Sandbox",
            "boolean",
            "Mails are checked by SendGrid and not sent.",
            default=False,
        ),
    ),
    actions=(
        Action(
            "updateUserProfile",
            "Upsert a contact",
            upsert_contacts,
            help="Adds or updates a contact; what is not told stays as it was.",
            trigger='type = "identify"',
            fields=_CONTACT,
            batch=Batch(1000, bytes=5_000_000),
        ),
        Action(
            "sendEmail",
            "Send a mail",
            send_mail,
            help="Sends a mail made from a dynamic template.",
            trigger='type = "track"',
            fields=_MAIL,
            internal=("domain",),
        ),
    ),
    presets=(Preset("Upsert a contact", "updateUserProfile"),),
    sources=(
        "https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact",
        "https://www.twilio.com/docs/sendgrid/api-reference/custom-fields/get-all-field-definitions",
        "https://www.twilio.com/docs/sendgrid/api-reference/mail-send",
        "https://docs.sendgrid.com/api-reference/mail-send/limitations",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Turn the sandbox on: SendGrid checks mails without sending them. Contacts have no "
    "such mode; use a subuser's key.",
    limits=(
        "Contacts: 30,000 or 6 MB a request, three requests in two seconds.",
        "Contacts are taken over within minutes; what is wrong with one shows only in SendGrid.",
        "Mails: 1,000 recipients, 10,000 bytes of own arguments, 30 MB together.",
        "Before each request of contacts the account's own fields are asked for.",
    ),
)
