"""Slack: a message in a channel for each event, through an incoming webhook."""

from __future__ import annotations

import re

from penstock.destinations.contract import (
    Action,
    Call,
    Destination,
    Field,
    InvalidPayload,
    Refused,
    Request,
    Setting,
    Steps,
)

__all__ = ["DESTINATION"]

_ADDRESS = "https://[A-Za-z0-9.-]+\\.slack(-gov)?\\.com[/A-Za-z0-9]+"
_PARTS = ("channel", "text", "username", "icon_url")


def _post(call: Call) -> Steps:
    address = call.payload.get("url") or call.settings.get("url")
    if not address:
        raise InvalidPayload("there is no webhook address: set it in the destination or map url")
    if re.fullmatch(_ADDRESS, address) is None:
        raise InvalidPayload("url is no address of a Slack webhook, https://hooks.slack.com/...")
    message = {key: call.payload[key] for key in _PARTS if call.payload.get(key) is not None}
    try:
        yield Request("POST", address, json=message)
    except Refused as error:
        raise _told(error) from error
    return None


def _told(error: Refused) -> Refused:
    """Slack says what is wrong in one word of plain text."""
    word = error.answer.body[:100].decode("utf-8", "replace").strip() if error.answer else ""
    if not re.fullmatch("[a-z_]+", word) or error.status == 429:
        return error
    return Refused(error.status, f"Slack did not take the message: {word}", word, error.answer)


DESTINATION = Destination(
    slug="slack",
    name="Slack",
    aliases=("Slack (Actions)",),
    help="Posts a message to a channel. There is no message of its own accord: choose the events "
    "and write the text in a mapping, such as "
    '{"@template": "{{properties.total}} from {{context.traits.email}}"}.',
    website="https://slack.com",
    settings=(
        Setting(
            "url",
            "Webhook address",
            help="From your Slack app, Incoming Webhooks. Who knows it can post.",
            secret=True,
            pattern=_ADDRESS,
            example="https://hooks.slack.com/services/T000/B000/XXXX",
        ),
    ),
    actions=(
        Action(
            "postToChannel",
            "Post a message",
            _post,
            help="Posts to the channel that the webhook was made for.",
            trigger='type = "track"',
            fields=(
                Field(
                    "text",
                    "Message",
                    "text",
                    "With Slack's formatting; above 40,000 characters Slack cuts it.",
                    required=True,
                ),
                Field(
                    "url",
                    "Webhook address",
                    help="Where one mapping posts elsewhere than the settings say.",
                    format="uri",
                ),
                Field("channel", "Channel", help="Without #. Only webhooks of old apps heed it."),
                Field("username", "Sender", help="Only webhooks of old apps heed it."),
                Field("icon_url", "Address of the sender's picture"),
            ),
            internal=("url",),
        ),
    ),
    sources=(
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
        "https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks",
        "https://docs.slack.dev/apis/web-api/rate-limits",
    ),
    test_mode="Make a webhook for a channel of your own. Slack has no request that checks an "
    "address without posting.",
    limits=(
        "One message a second and channel, with short bursts above; beyond, Slack answers 429 "
        "with Retry-After.",
    ),
    requests_per_second=1.0,
)
