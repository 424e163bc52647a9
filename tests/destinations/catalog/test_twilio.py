"""Twilio against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.twilio import DESTINATION
from penstock.destinations.contract import Answer, Request
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.strict import Fake
from tests.destinations.fakes.twilio import ACCOUNT, TOKEN, messages
from tests.destinations.reference import generation

SENDER: dict[str, Any] = {"phoneNumber": "+15005550006"}
SERVICE = "MG0123456789abcdef0123456789abcdef"
TEXT = {"@template": "Dear {{properties.name}}: {{event}}"}


def track(**properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Order Shipped",
        "messageId": "m1",
        "properties": {"phone": "+4722334455", "name": "Ann"} | properties,
    }


def send(
    *given: dict[str, Any],
    fields: dict[str, Any] | None = None,
    fake: Fake = messages,
    **settings: Any,
) -> Fed:
    mapping = MappingSetup("sendSMS", fields={"Body": TEXT} if fields is None else fields)
    filled = {"accountId": ACCOUNT, "token": TOKEN, **(settings or SENDER)}
    return feed(DESTINATION, filled, given, fake, [mapping])


def form(request: Request) -> dict[str, str]:
    assert isinstance(request.form, list)
    return dict(request.form)


def test_events_of_every_kind_are_taken_when_they_have_a_number() -> None:
    given = list(generation.events(seed=31))
    fed = send(*given)
    assert fed.refusals == [] and len(fed.requests) > 20
    assert set(fed.errors) == {"To is no telephone number with + and country code"}
    assert {form(request)["To"] for request in fed.requests} == {
        "+14155550123",
        "+4722334455",
        "+4930123456",
    }
    assert feed(DESTINATION, {"accountId": ACCOUNT, "token": TOKEN}, given, messages).driven == []


def test_a_message_is_a_form() -> None:
    (request,) = send(track()).requests
    assert request.json is None and request.url.endswith(f"/Accounts/{ACCOUNT}/Messages.json")
    assert request.form == [
        ("To", "+4722334455"),
        ("From", "+15005550006"),
        ("Body", "Dear Ann: Order Shipped"),
    ]


@pytest.mark.parametrize("number", ["0047 22 33 44 55", "+47 (22) 33-44-55", "+47.22.33.44.55"])
def test_numbers_are_written_as_e_164(number: str) -> None:
    assert form(send(track(phone=number)).requests[0])["To"] == "+4722334455"


@pytest.mark.parametrize("number", ["22334455", "+0472233", "+47 22 CALL", "+" + "1" * 16])
def test_what_is_no_number_is_not_sent(number: str) -> None:
    fed = send(track(phone=number))
    assert fed.requests == [] and "country code" in fed.errors[0]


def test_media_templates_and_times() -> None:
    fields = {
        "MediaUrl": ["https://a.test/1.png", "https://a.test/2.png"],
        "ContentSid": "HX0123456789abcdef0123456789abcdef",
        "ContentVariables": {"1": "Ann"},
        "SendAt": "2026-03-05T05:06:07Z",
        "ValidityPeriod": 600,
    }
    fed = send(track(), fields=fields, messagingServiceSid=SERVICE, region="IE1")
    (request,) = fed.requests
    assert fed.refusals == [] and request.url.startswith("https://api.dublin.ie1.twilio.com/")
    assert isinstance(request.form, list)
    assert [value for key, value in request.form if key == "MediaUrl"] == fields["MediaUrl"]
    assert form(request)["ContentVariables"] == '{"1": "Ann"}'
    assert form(request)["ScheduleType"] == "fixed" and "From" not in form(request)
    assert "messaging service" in send(track(), fields=fields).errors[0]


def test_whatsapp() -> None:
    (request,) = send(track(), fields={"Body": "Hi", "channel": "whatsapp"}).requests
    assert form(request)["To"] == "whatsapp:+4722334455"
    assert form(request)["From"] == "whatsapp:+15005550006"


def test_what_cannot_be_sent_is_said() -> None:
    assert "nothing to send" in send(track(), fields={}).errors[0]
    assert "1600" in send(track(), fields={"Body": "x" * 1601}).errors[0]
    assert "no sender" in send(track(), region="US1").errors[0]
    own = send(track(), fields={"Body": "x", "From": "Toast"}, region="US1")
    assert form(own.requests[0])["From"] == "Toast" and own.refusals == []


def test_what_twilio_says_is_kept() -> None:
    def stopped(request: Request) -> Answer:
        return Answer(
            400, {}, b'{"code":21610,"message":"Attempt to send to unsubscribed recipient"}'
        )

    ((_, driven),) = send(track(), fake=stopped).driven
    assert driven.error is not None and driven.error.code == "21610"
    assert "unsubscribed recipient" in str(driven.error)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("To", GONE),
        ("To", "4722334455"),
        ("To", "+47 22 33 44 55"),
        ("To", "whatsapp:+4722334455"),
        ("From", GONE),
        ("Body", GONE),
        ("Body", "x" * 1601),
        ("MessagingServiceSid", "MG1"),
        ("ValidityPeriod", "40000"),
        ("SendAt", "2026-03-05T05:06:07Z"),
        ("Text", "hello"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track()).requests
    assert refusal(messages, request) == ""
    assert refusal(messages, changed(request, place, value))


def test_the_fake_wants_a_form_and_credentials() -> None:
    (request,) = send(track()).requests
    assert refusal(messages, replace(request, form=None, json=form(request)))
    assert refusal(messages, replace(request, headers={}))
    assert refusal(messages, replace(request, url=request.url.replace(".json", "")))
    key = "SK0123456789abcdef0123456789abcdef"
    (other,) = send(track(), apiKeySid=key, **SENDER).requests
    assert other.headers["Authorization"] != request.headers["Authorization"]
