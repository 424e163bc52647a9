"""SendGrid: contacts that fail alone, the sandbox, regions and limits."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, InvalidPayload, Json, Payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("sendgrid")
FIELDS = {"custom_fields": [{"id": "e1_T", "name": "Plan"}, {"id": "e2_N", "name": "Plan"}]}
MAIL: Payload = {
    "from": {"email": "shop@toast.test", "name": "Shop"},
    "to": {"email": "ann@toast.test"},
    "template_id": "d-1",
}


def _do(slug: str, *payloads: Payload, **settings: Json) -> Driven:
    made = check_settings(TOOL, {"sendGridApiKey": "key", **settings})
    body = json.dumps(FIELDS).encode()
    call = Call(payloads, made, NOW, lambda: "id")
    return drive(TOOL, slug, call, lambda request: Answer(202, {}, body))


def test_contacts_of_a_batch_fail_alone() -> None:
    driven = _do(
        "updateUserProfile",
        {"primary_email": "ann@toast.test", "customFields": {"plan": True, "e2_N": [1]}},
        {"first_name": "Nobody"},
        {"external_id": "x", "customFields": {"Age": 3}},
        {"anonymous_id": "a"},
    )
    assert [request.method for request in driven.requests] == ["GET", "PUT"]
    assert driven.requests[1].items == (0, 3)
    assert driven.requests[1].json["contacts"] == [
        {"email": "ann@toast.test", "custom_fields": {"e1_T": "true", "e2_N": "[1]"}},
        {"anonymous_id": "a", "custom_fields": {}},
    ]
    assert {index: failure.status for index, failure in driven.failures.items()} == {1: 400, 2: 400}
    assert "'Age'" in driven.failures[2].message


def test_nothing_is_put_when_no_contact_is_left() -> None:
    driven = _do("updateUserProfile", {"first_name": "A"}, {"first_name": "B"})
    assert [request.method for request in driven.requests] == ["GET"]
    assert set(driven.failures) == {0, 1}


def test_a_contact_alone_is_refused() -> None:
    assert isinstance(_do("updateUserProfile", {"first_name": "A"}).error, InvalidPayload)


def test_the_sandbox_sends_no_mail() -> None:
    told = _do("sendEmail", dict(MAIL), sandbox=True).requests[0].json
    assert told["mail_settings"] == {"sandbox_mode": {"enable": True}}
    assert "mail_settings" not in _do("sendEmail", dict(MAIL)).requests[0].json


def test_the_region_takes_all_requests() -> None:
    europe = "https://api.eu.sendgrid.com"
    driven = _do("updateUserProfile", {"anonymous_id": "a"}, endpoint=europe)
    assert {request.url.partition("/v3")[0] for request in driven.requests} == {europe}
    assert driven.requests[0].headers["Authorization"] == "Bearer key"
    assert TOOL.check is not None
    assert TOOL.check({"endpoint": europe}).url == f"{europe}/v3/user/account"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"template_id": "welcome"}, "dynamic template"),
        ({"domain": "other.test"}, "domain"),
        ({"headers": {"bcc": "x@toast.test"}}, "header bcc"),
        ({"categories": ["c" * 256]}, "255"),
        ({"ip_pool_name": "ab"}, "ip_pool_name"),
        ({"group_id": "offers"}, "group_id"),
        ({"send_at": "2026-03-04T05:06:06Z"}, "72 hours"),
        ({"send_at": "2026-03-07T05:06:08Z"}, "72 hours"),
    ],
)
def test_a_mail_that_sendgrid_would_refuse_is_not_sent(change: Payload, reason: str) -> None:
    driven = _do("sendEmail", MAIL | change)
    assert driven.requests == []
    assert reason in str(driven.error)


def test_texts_of_values_are_those_of_the_browser() -> None:
    own = {"a": True, "b": 2.0, "c": None, "d": [1, None, "x"], "e": {"f": 1}, "g": 1.5}
    told = _do("sendEmail", MAIL | {"custom_args": own}).requests[0].json
    assert told["personalizations"][0]["custom_args"] == {
        "a": "true",
        "b": "2",
        "c": "null",
        "d": "1,,x",
        "e": "[object Object]",
        "g": "1.5",
    }
