"""From an event to a payload; what both take or refuse is compared in reference/language."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from penstock.destinations.contract import Action, Call, Choice, Field, InvalidPayload, Steps
from penstock.destinations.payloads import compile_payload
from penstock.destinations.payloads.dates import is_date_like

EVENT: dict[str, Any] = {
    "event": "Order Completed",
    "properties": {"total": "12.50", "products": [{"id": "a", "extra": 1}], "text": "Infinity"},
}


def build(call: Call) -> Steps:
    yield from ()
    return None


def payload(*fields: Field, given: dict[str, Any] | None = None, **more: Any) -> Any:
    action = Action("act", "Act", build, fields=fields, **more)
    return compile_payload(action, given or {})(EVENT)


TOTAL = Field("total", "Total", "number", default={"@path": "$.properties.total"})


def test_defaults_are_overlaid_and_null_leaves_a_field_out() -> None:
    name = Field("name", "Name", default={"@path": "$.event"})

    assert payload(TOTAL, name) == {"total": 12.5, "name": "Order Completed"}
    assert payload(TOTAL, name, given={"name": "x", "total": None}) == {"name": "x"}


def test_only_an_open_action_passes_on_fields_that_it_does_not_declare() -> None:
    given = {"mine": {"@path": "$.properties.products"}, "__segment_internal_sync_mode": "add"}

    assert payload(TOTAL, given=given) == {"total": 12.5}
    open_one = payload(TOTAL, given=given, open=True)
    assert open_one == {"total": 12.5, "mine": [{"id": "a", "extra": 1}]}


def test_unknown_properties_are_left_out_and_single_values_become_lists() -> None:
    products = Field(
        "products",
        "Products",
        "object",
        multiple=True,
        properties=(Field("id", "Id", required=True),),
        default={"@path": "$.properties.products[0]"},
    )

    assert payload(products) == {"products": [{"id": "a"}]}


def test_a_payload_shares_nothing_with_the_event() -> None:
    before = copy.deepcopy(EVENT)
    everything = Field("all", "All", "object", default={"@path": "$.properties"})
    constant = Field("constant", "Constant", "object", default={"tags": ["a"]})
    resolve = compile_payload(Action("a", "A", build, fields=(everything, constant)), {})

    made = resolve(EVENT)
    made["all"]["products"][0]["id"] = "changed"
    made["constant"]["tags"].append("b")

    assert before == EVENT
    assert resolve(EVENT)["constant"] == {"tags": ["a"]}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (Field("n", "N", "number"), "secret words", "field n must be a number, not a string"),
        (Field("n", "N", "number"), {"@path": "$.properties.text"}, "field n must be a number"),
        (Field("n", "N", required=True), "", "field n is required"),
        (Field("n", "N", "number", minimum=0), -1, "field n must be at least 0"),
        (Field("n", "N", "integer", maximum=5), 6, "field n must be at most 5"),
        (Field("n", "N", "integer"), 1.5, "field n must be an integer"),
        (Field("n", "N", maximum=3), "four", "field n must have at most 3 characters"),
        (Field("n", "N", choices=(Choice("a"), Choice("b"))), "c", "field n must be one of a, b"),
        (Field("n", "N", format="email"), "a@b", "field n must be an e-mail address"),
        (Field("n", "N", "datetime"), "nonsense", "field n must be a date"),
        (
            Field("n", "N", "object", properties=(Field("x", "X", "boolean"),)),
            {"x": "maybe"},
            "field n.x must be a boolean",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_the_field_name(
    field: Field, value: Any, message: str
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        payload(field, given={"n": value})

    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value), "a value may be personal"
    assert (caught.value.status, caught.value.code) == (400, "PAYLOAD_VALIDATION_FAILED")


def test_all_fields_at_fault_are_named() -> None:
    fields = (Field("a", "A", "number"), Field("b", "B", required=True))

    with pytest.raises(InvalidPayload, match=r"field a must be .*; field b is required"):
        payload(*fields, given={"a": "x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00.000Z", True),
        ("1767607200", True),
        ("Mon Jan 05 2026 10:00:00 GMT+0100 (Central European Time)", True),
        ("Jan 2026", True),
        ("1/5/26 10:00 PM", True),
        ("1/5/26 13:00 PM", False),
        ("2026-13-01T00:00:00Z", False),
        ("2026-01-05T25:00:00Z", False),
        ("order5", False),
        ("", False),
    ],
)
def test_dates_are_what_browsers_read_as_dates(text: str, expected: bool) -> None:
    assert is_date_like(text) is expected
