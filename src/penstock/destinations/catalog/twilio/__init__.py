"""Twilio: a text message to a telephone for each event."""

from __future__ import annotations

import base64
from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.twilio.messages import REGIONS, messages, send_message
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_MESSAGE = (
    mapped(
        "To",
        "Recipient",
        "traits.phone",
        "context.traits.phone",
        "properties.phone",
        required=True,
        help="With + and the country code; spaces, dots, dashes and brackets are taken out.",
    ),
    Field("Body", "Message", "text", "At most 1,600 characters."),
    Field(
        "channel",
        "Channel",
        help="SMS unless mapped.",
        choices=(Choice("sms", "SMS and MMS"), Choice("whatsapp", "WhatsApp")),
    ),
    Field("From", "Sender", help="Where one mapping uses another than the settings say."),
    Field("MessagingServiceSid", "Messaging service", help="Likewise."),
    Field("MediaUrl", "Addresses of media", help="At most ten.", multiple=True),
    Field("ContentSid", "Content template", help="HX…; instead of a message."),
    Field("ContentVariables", "Variables of the template", "object"),
    Field("StatusCallback", "Address told what became of it", format="uri"),
    Field(
        "ValidityPeriod",
        "Seconds it may wait",
        "integer",
        "Later it is not sent; at most 36,000.",
        minimum=1,
        maximum=36_000,
    ),
    Field(
        "SendAt",
        "Send at",
        "datetime",
        "From 15 minutes to 35 days ahead; needs a messaging service.",
    ),
)


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    user = settings.get("apiKeySid") or settings["accountId"]
    pair = base64.b64encode(f"{user}:{settings['token']}".encode()).decode("ascii")
    return replace(request, headers={**request.headers, "Authorization": f"Basic {pair}"})


def _check(settings: Settings) -> Request:
    return Request("GET", messages(settings), query={"PageSize": "1"})


DESTINATION = Destination(
    slug="twilio",
    name="Twilio",
    aliases=("Twilio (Actions)", "Actions Twilio"),
    help="Sends SMS, MMS and WhatsApp messages. There is no message of its own accord: choose the "
    "events and write the text in a mapping, such as "
    '{"@template": "Your order {{properties.order_id}} is on its way"}.',
    website="https://www.twilio.com",
    settings=(
        Setting(
            "accountId",
            "Account SID",
            help="From the console, Account Info.",
            required=True,
            pattern="AC[0-9a-fA-F]{32}",
            example="AC0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "token",
            "Auth token, or secret of the API key",
            required=True,
            secret=True,
            example="0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "apiKeySid",
            "API key SID",
            help="If set, the token is the secret of this key.",
            pattern="SK[0-9a-fA-F]{32}",
            example="SK0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "phoneNumber",
            "Sender",
            help="A number of yours with + and country code, a short code or an alphanumeric name.",
            pattern=r"\+[1-9][0-9]{1,14}|[A-Za-z0-9 &_+-]{1,11}",
            example="+15005550006",
        ),
        Setting(
            "messagingServiceSid",
            "Messaging service SID",
            help="Instead of a sender: it chooses one of its own.",
            pattern="MG[0-9a-fA-F]{32}",
            example="MG0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "region",
            "Region",
            help="Where Twilio processes the message; credentials are of one region.",
            default="US1",
            choices=tuple(Choice(code, place) for code, (place, _) in REGIONS.items()),
        ),
    ),
    actions=(
        Action(
            "sendSMS",
            "Send a message",
            send_message,
            trigger='type = "track"',
            fields=_MESSAGE,
            internal=("channel",),
        ),
    ),
    sources=(
        "https://www.twilio.com/docs/messaging/api/message-resource",
        "https://github.com/twilio/twilio-oai/blob/main/spec/json/twilio_api_v2010.json",
        "https://www.twilio.com/docs/glossary/what-e164",
        "https://www.twilio.com/docs/iam/test-credentials",
        "https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region",
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use Twilio's test credentials and +15005550006 as the sender: messages are checked "
    "and neither sent nor charged.",
    limits=(
        "A message has at most 1,600 characters and ten media files.",
        "Each sender sends at its own pace, 1 to 100 a second; Twilio queues what is beyond. Too "
        "many requests at a time are answered 429.",
        "Twilio knows no key against duplicates: a message whose answer was lost may be sent "
        "twice.",
    ),
)
