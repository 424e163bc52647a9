"""Twilio's messages, refusing what its documentation refuses.

Sources: github.com/twilio/twilio-oai: spec/json/twilio_api_v2010.json (CreateMessage: a form, its
parameters and the patterns of SIDs), twilio.com/docs/messaging/api/message-resource (1,600
characters, ten media, a sender and a content are needed, scheduling needs a messaging service),
twilio.com/docs/glossary/what-e164, twilio.com/docs/api/errors (21211, 21603, 21617, 21619).
"""

from __future__ import annotations

import json
import re
from collections import Counter

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.feeding import basic
from tests.destinations.fakes.strict import Wrong

__all__ = ["ACCOUNT", "TOKEN", "messages"]

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"
_E164 = r"\+[1-9]\d{1,14}"
_PARAMETERS = {
    "To": rf"(whatsapp:)?{_E164}",
    "From": rf"(whatsapp:)?{_E164}|\d{{5,6}}|[A-Za-z0-9 &_+-]{{1,11}}",
    "MessagingServiceSid": "MG[0-9a-fA-F]{32}",
    "Body": r"(?s).{1,1600}",
    "MediaUrl": "https?://.+",
    "ContentSid": "HX[0-9a-fA-F]{32}",
    "ContentVariables": r"(?s)\{.*\}",
    "StatusCallback": "https?://[^_]+",
    "ValidityPeriod": r"[1-9]\d{0,4}",
    "SendAt": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "ScheduleType": "fixed",
}


def messages(request: Request) -> Answer:
    """POST /2010-04-01/Accounts/<sid>/Messages.json."""
    if request.headers.get("Authorization") != basic(ACCOUNT, TOKEN):
        raise Wrong("Authenticate", 401)
    place = rf"https://api(\.dublin\.ie1|\.sydney\.au1)?\.twilio\.com/2010-04-01/Accounts/{ACCOUNT}/Messages\.json"
    if request.method != "POST" or re.fullmatch(place, request.url) is None or request.query:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if request.form is None:
        raise Wrong("the body is no form")
    form = list(request.form.items() if hasattr(request.form, "items") else request.form)
    for key, value in form:
        if key not in _PARAMETERS:
            raise Wrong(f"{key} is unknown")
        if not isinstance(value, str) or re.fullmatch(_PARAMETERS[key], value) is None:
            raise Wrong(f"{key} is not as it should be: {value!r}")
    _check_together(Counter(key for key, _ in form), dict(form))
    return Answer(201, {"content-type": "application/json"}, b'{"sid":"SM1","status":"queued"}')


def _check_together(counts: Counter[str], form: dict[str, str]) -> None:
    if any(count > (10 if key == "MediaUrl" else 1) for key, count in counts.items()):
        raise Wrong("a parameter is given too often")
    if "To" not in form:
        raise Wrong("21604: 'To' phone number is required")
    if not counts.keys() & {"From", "MessagingServiceSid"}:
        raise Wrong("21603: a sender is required")
    if not counts.keys() & {"Body", "MediaUrl", "ContentSid"}:
        raise Wrong("21619: a text message body or media is required")
    if "From" in form and form["To"].startswith("whatsapp:") != form["From"].startswith(
        "whatsapp:"
    ):
        raise Wrong("21910: 'To' and 'From' are not of one channel")
    if ("SendAt" in form) != ("ScheduleType" in form):
        raise Wrong("35111: SendAt and ScheduleType belong together")
    if "SendAt" in form and "MessagingServiceSid" not in form:
        raise Wrong("35118: scheduling needs a messaging service")
    if int(form.get("ValidityPeriod", "1")) > 36_000:
        raise Wrong("21638: ValidityPeriod is out of range")
    json.loads(form.get("ContentVariables", "{}"))
