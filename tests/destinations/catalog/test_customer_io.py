"""Customer.io: batches with results of their own, regions and the check."""

from __future__ import annotations

import base64
import json

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, Json, Payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("customer-io")


def _do(
    slug: str, *payloads: Payload, answer: Json = None, region: str = "US", batched: bool = False
) -> Driven:
    settings = check_settings(TOOL, {"siteId": "s", "apiKey": "k", "accountRegion": region})
    call = Call(payloads, settings, NOW, lambda: "id", batched=batched)
    body = json.dumps(answer or {}).encode()
    return drive(TOOL, slug, call, lambda request: Answer(207 if answer else 200, {}, body))


def _event(number: int) -> Payload:
    return {"id": f"u{number}", "name": "Bought", "event_id": f"m{number}"}


def test_faulty_items_of_a_batch_fail_alone() -> None:
    errors = [
        {"batch_index": 1, "reason": "invalid", "field": "identifiers.id", "message": "is empty"},
        {"batch_index": 7, "reason": "invalid"},
        {"reason": "no index"},
    ]
    driven = _do("trackEvent", *map(_event, range(3)), answer={"errors": errors})
    assert driven.error is None
    assert set(driven.failures) == {1}
    assert driven.failures[1].status == 400
    assert driven.failures[1].message == "identifiers.id: is empty"
    assert driven.failures[1].code == "invalid"


def test_objects_of_known_and_anonymous_people_go_apart_and_failures_find_their_item() -> None:
    payloads = [
        {"id": "g1", "anonymous_id": "a1"},
        {"id": "g2", "user_id": "u2"},
        {"id": "g3", "anonymous_id": "a3"},
    ]
    driven = _do("createUpdateObject", *payloads, answer={"errors": [{"batch_index": 0}]})
    assert [request.items for request in driven.requests] == [(1,), (0, 2)]
    actions = [[each["action"] for each in request.json["batch"]] for request in driven.requests]
    assert actions == [["identify"], ["identify_anonymous"] * 2]
    assert set(driven.failures) == {0, 1}


def test_one_event_goes_alone_unless_the_mapping_batches() -> None:
    alone, batched = _do("trackEvent", _event(1)), _do("trackEvent", _event(1), batched=True)
    assert alone.requests[0].url == "https://track.customer.io/api/v2/entity"
    assert batched.requests[0].url == "https://track.customer.io/api/v2/batch"
    assert batched.requests[0].json == {"batch": [alone.requests[0].json]}


def test_the_region_and_the_login() -> None:
    request = _do("deletePerson", {"person_id": "u1"}, region="EU").requests[0]
    assert request.url == "https://track-eu.customer.io/api/v2/entity"
    login = request.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(login) == b"s:k"
    assert TOOL.check is not None
    assert TOOL.check({"accountRegion": "EU"}).url.startswith("https://track-eu.customer.io/")


def test_a_person_is_found_by_what_the_id_looks_like() -> None:
    found = {
        "u1": {"id": "u1"},
        "Ann@Toast.test": {"email": "Ann@Toast.test"},
        "cio_03": {"cio_id": "03"},
        "ann@toast": {"id": "ann@toast"},
    }
    for given, known in found.items():
        made = _do("suppressPerson", {"person_id": given}).requests[0].json
        assert made == {"type": "person", "action": "suppress", "identifiers": known}


def test_a_report_without_a_time_happened_now() -> None:
    report = {"delivery_id": "d", "metric": "opened"}
    request = _do("reportDeliveryEvent", report).requests[0]
    assert request.url == "https://track.customer.io/api/v1/metrics"
    assert request.json == {**report, "timestamp": int(NOW.timestamp())}
