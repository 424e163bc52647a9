"""Braze: who is meant, what is not taken, limits, orders and profiles."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, InvalidPayload, Json, Payload, Request
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("braze")
EVENT: Payload = {"external_id": "u", "name": "Tea Poured", "time": "2026-03-04T05:06:07.089Z"}
SHOP: Payload = {
    **EVENT,
    "currency": "EUR",
    "source": "web",
    "products": [
        {
            "product_id": "p",
            "product_name": "Toast",
            "variant_id": "v",
            "price": 1.5,
            "quantity": 2,
            "colour": "brown",
        }
    ],
}


def _do(
    slug: str,
    *payloads: Payload,
    status: int = 201,
    told: Json = None,
    sync_mode: str = "",
    **settings: Json,
) -> Driven:
    made = check_settings(TOOL, {"api_key": "key", **settings})
    given = [dict(payload) for payload in payloads]
    call = Call(given, made, NOW, lambda: "new", sync_mode=sync_mode)
    answer = Answer(status, {}, json.dumps(told or {}).encode())
    return drive(TOOL, slug, call, lambda request: answer)


def test_nobody_is_refused_alone_and_left_out_of_a_batch() -> None:
    nobody = {"name": "Tea Poured", "time": EVENT["time"]}
    assert isinstance(_do("trackEvent", nobody).error, InvalidPayload)
    driven = _do("trackEvent", EVENT, nobody, EVENT)
    assert [len(request.json["events"]) for request in driven.requests] == [2]
    assert driven.requests[0].items == (0, 2)
    assert set(driven.failures) == {1}


def test_half_an_alias_is_nobody() -> None:
    half = {**EVENT, "external_id": None, "user_alias": {"alias_name": "a"}}
    assert isinstance(_do("trackEvent", half).error, InvalidPayload)
    whole = {**half, "user_alias": {"alias_name": "a", "alias_label": "b", "extra": 1}}
    event = _do("trackEvent", whole).requests[0].json["events"][0]
    assert event["user_alias"] == {"alias_name": "a", "alias_label": "b"}


def test_what_braze_did_not_take_fails_alone() -> None:
    nobody = {"name": "Tea Poured", "time": EVENT["time"]}
    told = {"errors": [{"type": "bad name", "input_array": "events", "index": 1}]}
    driven = _do("trackEvent", nobody, EVENT, EVENT, told=told)
    assert {i: (f.status, f.message) for i, f in driven.failures.items() if i} == {
        2: (400, "bad name")
    }


def test_a_refusal_counts_for_all_that_was_sent() -> None:
    nobody = {"name": "Tea Poured", "time": EVENT["time"]}
    driven = _do("trackEvent", EVENT, nobody, EVENT, status=500)
    assert {i: f.status for i, f in driven.failures.items()} == {0: 500, 1: 400, 2: 500}


def test_a_large_order_goes_in_parts() -> None:
    products = [{"product_id": str(n), "price": 1} for n in range(80)]
    order = {**EVENT, "products": products, "properties": {"city": "Oslo", "products": products}}
    driven = _do("trackPurchase", order)
    assert [len(request.json["purchases"]) for request in driven.requests] == [75, 5]
    first = driven.requests[0].json["purchases"][0]
    assert (first["currency"], first["price"]) == ("USD", 1)
    assert first["properties"] == {"city": "Oslo"}
    assert driven.requests[0].headers["X-Braze-Batch"] == "true"


def test_an_order_without_products_is_nothing_to_send() -> None:
    driven = _do("trackPurchase", {**EVENT, "products": []})
    assert driven.skipped
    assert not driven.requests


@pytest.mark.parametrize(
    ("name", "change", "missing"),
    [
        ("order_placed", {"total_value": 3}, "order_id"),
        ("order_cancelled", {"total_value": 3, "order_id": "o"}, "cancel_reason"),
        ("checkout_started", {"total_value": 3}, "checkout_id"),
        ("order_refunded", {"order_id": "o"}, "total_value"),
        ("cart_updated", {"cart_id": "c", "action": "replace"}, "total_value"),
    ],
)
def test_each_event_of_a_shop_needs_its_fields(name: str, change: Payload, missing: str) -> None:
    driven = _do("ecommerce", {**SHOP, "name": f"ecommerce.{name}", **change})
    assert isinstance(driven.error, InvalidPayload)
    assert missing in str(driven.error)


def test_an_order_keeps_its_amounts() -> None:
    order = {**SHOP, "name": "ecommerce.order_placed", "order_id": "o", "total_value": 0}
    event = _do("ecommerce", order, sync_mode="update").requests[0].json["events"][0]
    assert event["properties"] == {
        "currency": "EUR",
        "source": "web",
        "order_id": "o",
        "total_value": 0,
        "products": [
            {
                "product_id": "p",
                "product_name": "Toast",
                "variant_id": "v",
                "price": 1.5,
                "quantity": 2,
                "metadata": {"colour": "brown"},
            }
        ],
    }
    assert event["_update_existing_only"] is True


def test_a_profile_in_brazes_words() -> None:
    person: Payload = {
        "external_id": "u",
        "gender": "Woman",
        "dob": "1990-05-06T23:00:00Z",
        "date_of_first_session": "2026-01-02",
        "email": None,
        "current_location": {},
        "custom_attributes": {"plan": "gold", "firstName": "Ann", "gender": "x", "avatar": "y"},
    }
    told = _do("updateUserProfile", person).requests[0].json["attributes"][0]
    assert told == {
        "external_id": "u",
        "gender": "F",
        "dob": "1990-05-06",
        "date_of_first_session": "2026-01-02T00:00:00.000Z",
        "email": None,
        "plan": "gold",
    }


def test_the_key_is_a_bearer() -> None:
    assert TOOL.authorize is not None
    shown = TOOL.authorize(Request("POST", "https://host"), {"api_key": "key"}, "")
    assert shown.headers == {"Authorization": "Bearer key"}


@pytest.mark.parametrize(
    "payload",
    [
        {"campaign_id": "c"},
        {"campaign_id": "c", "recipients": []},
        {"campaign_id": "c", "recipients": [{"email": "a@toast.test"}], "broadcast": True},
    ],
)
def test_a_campaign_is_for_recipients_or_for_all(payload: Payload) -> None:
    assert isinstance(_do("triggerCampaign", payload).error, InvalidPayload)


def test_the_order_of_profiles_is_told_for_each_recipient() -> None:
    priorities = {"second_priority": "unidentified", "first_priority": "identified"}
    people = [{"email": "a@toast.test"}, {"external_user_id": "u"}]
    driven = _do(
        "triggerCanvas", {"canvas_id": "v", "recipients": people, "prioritization": priorities}
    )
    (request,) = driven.requests
    assert request.url.endswith("/canvas/trigger/send")
    order = ["identified", "unidentified"]
    assert request.json["recipients"] == [{**each, "prioritization": order} for each in people]
    assert "prioritization" not in request.json


def _toast(item_id: str, **item: Json) -> Payload:
    return {"catalog_name": "toasts", "item_id": item_id, "item": item}


def test_the_last_of_several_items_with_one_id_holds() -> None:
    rows = [
        _toast("a", price=1),
        _toast("b", price=2),
        _toast("a", price=3),
        _toast("c d", price=1),
    ]
    driven = _do("upsertCatalogItem", *rows, status=202, sync_mode="upsert")
    assert [request.json["items"] for request in driven.requests] == [
        [{"price": 1, "id": "a"}, {"price": 2, "id": "b"}],
        [{"price": 3, "id": "a"}],
    ]
    assert [request.items for request in driven.requests] == [(0, 1), (2,)]
    assert set(driven.failures) == {3}


@pytest.mark.parametrize("value", ["b", {"id": "b", "price": "x"}])
def test_items_beside_a_wrong_one_are_tried_again(value: Json) -> None:
    told = {"errors": [{"id": "fields-not-valid", "message": "no", "parameter_values": [value]}]}
    rows = [_toast("a", price=1), _toast("b", price="x")]
    driven = _do("upsertCatalogItem", *rows, status=400, told=told, sync_mode="upsert")
    assert {index: each.status for index, each in driven.failures.items()} == {0: 500, 1: 400}
    told["errors"][0]["id"] = "catalog-not-found"
    driven = _do("upsertCatalogItem", *rows, status=404, told=told, sync_mode="upsert")
    assert {each.status for each in driven.failures.values()} == {404}


def test_an_item_that_is_gone_counts_as_deleted() -> None:
    told = {"errors": [{"id": "item-not-found", "parameter_values": ["a"]}]}
    gone = _do("upsertCatalogItem", _toast("a"), status=404, told=told, sync_mode="delete")
    assert gone.error is None
    assert (gone.requests[0].method, gone.requests[0].json) == ("DELETE", None)
    other = {"errors": [{"id": "catalog-not-found"}]}
    driven = _do("upsertCatalogItem", _toast("a"), status=404, told=other, sync_mode="delete")
    assert driven.error is not None
    kept = _do("upsertCatalogItem", _toast("a", price=1), status=404, told=told, sync_mode="upsert")
    assert kept.error is not None
