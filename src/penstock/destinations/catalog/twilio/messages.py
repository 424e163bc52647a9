"""Messages as Twilio takes them: a form, numbers in E.164."""

from __future__ import annotations

import json
import re

from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import (
    Call,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Settings,
    Steps,
)

__all__ = ["REGIONS", "messages", "send_message"]

REGIONS = {
    "US1": ("USA", "https://api.twilio.com"),
    "IE1": ("Ireland", "https://api.dublin.ie1.twilio.com"),
    "AU1": ("Australia", "https://api.sydney.au1.twilio.com"),
}
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_LENGTH = 1600
_MEDIA = 10
_ALIKE = ("Body", "ContentSid", "StatusCallback", "ValidityPeriod")


def messages(settings: Settings) -> str:
    """The address of the account's messages."""
    _, host = REGIONS[settings.get("region") or "US1"]
    return f"{host}/2010-04-01/Accounts/{settings['accountId']}/Messages.json"


def send_message(call: Call) -> Steps:
    """One message. What Twilio says of a refusal, such as 21610 after STOP, is its code."""
    given = call.payload
    _check_content(given)
    form = [("To", _to(given)), *_sender(call)]
    form += [(key, _text(given[key])) for key in _ALIKE if key in given]
    form += [("MediaUrl", url) for url in given.get("MediaUrl", ())[:_MEDIA]]
    if "ContentVariables" in given:
        form.append(("ContentVariables", json.dumps(given["ContentVariables"])))
    form += _scheduled(given, form)
    try:
        yield Request("POST", messages(call.settings), form=form)
    except Refused as error:
        raise _told(error) from error
    return None


def _check_content(given: Payload) -> None:
    if not any(given.get(key) for key in ("Body", "MediaUrl", "ContentSid")):
        raise InvalidPayload("there is nothing to send: map Body, MediaUrl or ContentSid")
    if len(given.get("Body", "")) > _LENGTH:
        raise InvalidPayload(f"Body has more than {_LENGTH} characters")


def _to(given: Payload) -> str:
    number = re.sub(r"[\s().\-/\u00a0]", "", given["To"])
    number = "+" + number[2:] if number.startswith("00") else number
    if _NUMBER.fullmatch(number) is None:
        raise InvalidPayload("To is no telephone number with + and country code")
    return _on_channel(given, number)


def _sender(call: Call) -> list[tuple[str, str]]:
    """The payload's own sender before that of the settings."""
    for place in (call.payload, _of(call.settings)):
        named = [
            (key, _on_channel(call.payload, place[key]) if key == "From" else place[key])
            for key in ("From", "MessagingServiceSid")
            if place.get(key)
        ]
        if named:
            return named
    raise InvalidPayload("there is no sender: set a number or a messaging service")


def _of(settings: Settings) -> Payload:
    return {
        "From": settings.get("phoneNumber"),
        "MessagingServiceSid": settings.get("messagingServiceSid"),
    }


def _on_channel(given: Payload, address: str) -> str:
    whatsapp = given.get("channel") == "whatsapp" and not address.startswith("whatsapp:")
    return f"whatsapp:{address}" if whatsapp else address


def _scheduled(given: Payload, form: list[tuple[str, str]]) -> list[tuple[str, str]]:
    when = moment(given.get("SendAt"))
    if when is None:
        return []
    if "MessagingServiceSid" not in dict(form):
        raise InvalidPayload("SendAt needs a messaging service")
    return [("SendAt", f"{when:%Y-%m-%dT%H:%M:%SZ}"), ("ScheduleType", "fixed")]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else str(int(value))


def _told(error: Refused) -> Refused:
    said = error.answer.json() if error.answer else None
    if error.status in (401, 429) or not isinstance(said, dict) or "code" not in said:
        return error
    message = f"Twilio did not take the message: {said.get('message', said['code'])}"
    return Refused(error.status, message, str(said["code"]), error.answer)
