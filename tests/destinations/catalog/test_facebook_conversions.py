"""Facebook Conversions: batches, of which Facebook refuses all for one; test mode; presets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, Payload, Request
from penstock.destinations.model import DestinationSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings, mappings_of
from tests.destinations.fakes.strict import NOW, Driven, Wrong, drive

TOOL = registry.definition("facebook-conversions")


def _page(number: int, **more: Any) -> Payload:
    return {
        "action_source": "system_generated",
        "event_time": "2026-03-04T05:06:07Z",
        "event_id": f"m{number}",
        "user_data": {"externalId": [f"u{number}"]},
        **more,
    }


def _send(
    *payloads: Payload, faulty: tuple[str, ...] = (), status: int = 400, **settings: str
) -> Driven:
    def answer(request: Request) -> Answer:
        if any(event["event_id"] in faulty for event in request.json["data"]):
            raise Wrong("Invalid parameter", status)
        return Answer(200, {}, json.dumps({"events_received": 1}).encode())

    made = check_settings(TOOL, {"pixelId": "123", "accessToken": "token", **settings})
    return drive(TOOL, "pageView", Call(payloads, made, NOW, lambda: "id"), answer)


def _ids(request: Request) -> list[str]:
    return [event["event_id"] for event in request.json["data"]]


def test_a_batch_is_one_request() -> None:
    driven = _send(*map(_page, range(5)))
    assert [_ids(request) for request in driven.requests] == [["m0", "m1", "m2", "m3", "m4"]]
    assert driven.failures == {}


def test_a_refused_batch_is_halved_until_the_faulty_one_is_alone() -> None:
    driven = _send(*map(_page, range(8)), faulty=("m5",))
    assert set(driven.failures) == {5}
    assert driven.failures[5].status == 400
    accepted = [each for each in driven.requests if "m5" not in _ids(each)]
    assert sorted(each for request in accepted for each in _ids(request)) == [
        "m0",
        "m1",
        "m2",
        "m3",
        "m4",
        "m6",
        "m7",
    ]
    assert all(
        request.items == tuple(int(each[1:]) for each in _ids(request))
        for request in driven.requests
    )


def test_all_faulty_fail_and_nothing_is_sent_twice() -> None:
    driven = _send(*map(_page, range(4)), faulty=("m0", "m1", "m2", "m3"))
    assert set(driven.failures) == {0, 1, 2, 3}


def test_a_fault_of_facebook_is_not_searched_for_in_the_events() -> None:
    driven = _send(*map(_page, range(4)), faulty=("m1",), status=503)
    assert len(driven.requests) == 1
    assert driven.error is not None
    assert driven.error.status == 503


def test_an_event_that_is_wrong_stays_out_of_the_batch() -> None:
    driven = _send(_page(0), _page(1, action_source="website"), _page(2))
    assert _ids(driven.requests[0]) == ["m0", "m2"]
    assert "client_user_agent" in driven.failures[1].message


def test_the_test_code_of_the_mapping_counts_before_that_of_the_settings() -> None:
    assert "test_event_code" not in _send(_page(0)).requests[0].json
    told = _send(_page(0), testEventCode="TEST1").requests[0].json
    assert told["test_event_code"] == "TEST1"
    told = _send(_page(0, test_event_code="TEST2"), testEventCode="TEST1").requests[0].json
    assert told["test_event_code"] == "TEST2"


def test_the_token_is_in_no_address() -> None:
    request = _send(_page(0)).requests[0]
    assert request.url == "https://graph.facebook.com/v24.0/123/events"
    assert request.headers["Authorization"] == "Bearer token"
    assert TOOL.check is not None
    asked = TOOL.check({"pixelId": "123"})
    assert (asked.method, asked.url) == ("GET", "https://graph.facebook.com/v24.0/123")


@pytest.mark.parametrize(("agent", "place"), [("curl/8", "website"), (None, "system_generated")])
def test_the_presets_send_what_facebook_takes(agent: str | None, place: str) -> None:
    setup = DestinationSetup(slug="fb", type=TOOL.slug, settings={})
    searches = [each for each in mappings_of(TOOL, setup) if each.action == "search"]
    payload = compile_payload(TOOL.action("search"), searches[0].fields)
    context = {"userAgent": agent} if agent else {}
    event = {"timestamp": "2026-03-04T05:06:07Z", "properties": {"query": "x"}, "context": context}
    made = payload(event)
    assert made["action_source"] == place
    settings = check_settings(TOOL, {"pixelId": "123", "accessToken": "token"})
    call = Call([made], settings, NOW, lambda: "id")
    driven = drive(TOOL, "search", call, lambda request: Answer(200, {}, b"{}"))
    assert driven.requests[0].json["data"][0]["custom_data"] == {"search_string": "x"}
