"""What mappings give, what they refuse and where they say it is; see also reference/language."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest

from penstock.destinations.contract import InvalidPayload
from penstock.destinations.mappings import UNDEFINED, MappingError, compile_mapping

EVENT: dict[str, Any] = {
    "event": "Order Completed",
    "userId": "u1",
    "properties": {
        "total": 12.0,
        "items": [{"id": "a", "price": 2}, {"id": "b"}],
        "note": None,
    },
}


def resolved(mapping: Any, event: dict[str, Any] = EVENT) -> Any:
    return compile_mapping(mapping)(event)


def test_what_is_missing_is_left_out_and_null_stays() -> None:
    mapping = {"note": {"@path": "$.properties.note"}, "none": {"@path": "$.properties.none"}}

    assert resolved(mapping) == {"note": None}
    assert resolved({"@path": "$.properties.none"}) is UNDEFINED


def test_names_that_every_object_of_javascript_has_are_missing_too() -> None:
    assert resolved({"a": {"@path": "$.constructor"}, "b": {"@path": "$.event.toString"}}) == {}


def test_an_undefined_value_hides_an_earlier_one_in_a_merge() -> None:
    objects = [{"a": 1, "b": 2}, {"b": {"@path": "$.missing"}}]

    assert resolved({"@merge": {"objects": objects, "direction": "right"}}) == {"a": 1}
    assert resolved({"@merge": {"objects": objects, "direction": "left"}}) == {"a": 1, "b": 2}


def test_neither_event_nor_mapping_is_changed() -> None:
    mapping = {
        "a": {"@merge": {"objects": [{"@path": "$.properties"}, {"x": 1}], "direction": "left"}},
        "b": {"@replace": {"pattern": "O", "value": {"@path": "$.event"}}},
        "__segment_internal_directive": {"@transform": {"apply": {"event": "E"}}},
    }
    event, before = copy.deepcopy(EVENT), copy.deepcopy(mapping)

    assert compile_mapping(mapping)(event) == {"a": {"x": 1}, "b": "E"}
    assert (event, mapping) == (EVENT, before)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"total": {"@pth": "x"}}, "total: @pth is no directive; did you mean @path?"),
        ({"a": {"b": [{"@path": 5}]}}, "a.b.0.@path: must be a text or a directive, not a number"),
        (
            {"a": {"@path": "x", "beside": 1}},
            "a: has beside beside @path; a directive stands alone",
        ),
        (
            {"a": {"@literal": {"b": {"@case": {"operator": "title", "value": "x"}}}}},
            "a.@literal.b.@case.operator: must be lower or upper",
        ),
        (
            {"a": {"@if": {"exists": 1, "then": {"@merge": {"objects": []}}}}},
            'a.@if.then.@merge: needs "direction"',
        ),
        (
            {"a": {"@replace": {"pattern": "𝄞𝄞𝄞𝄞𝄞𝄞", "value": "x"}}},
            "a.@replace.pattern: must have at most 10 characters",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(mapping: Any, message: str) -> None:
    with pytest.raises(MappingError) as caught:
        compile_mapping(mapping)

    assert str(caught.value) == message
    assert message.startswith(caught.value.path)


def test_an_event_that_does_not_go_with_the_mapping_is_told_with_the_place() -> None:
    resolve = compile_mapping({"a": {"@path": {"@path": "$.properties.total"}}})

    with pytest.raises(InvalidPayload, match=r"mapping a\.@path: needs a text, got number"):
        resolve(EVENT)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for a in b %}{% endfor %}", "for"),
        ("{{ a | sort }}", "the filter sort must not be used here"),
        ("{{ a | shout }}", "the filter shout is unknown"),
        ("x" * 1001, "at most 1000 characters"),
    ],
)
def test_a_liquid_template_beyond_its_bounds_is_refused(template: str, message: str) -> None:
    with pytest.raises(MappingError, match=rf"a\.@liquid: .*{message}"):
        compile_mapping({"a": {"@liquid": template}})


@pytest.mark.parametrize(
    "template",
    [
        "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | replace: 'x', a %}" * 20 + "{{ a }}",
        "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 30 + "{{ a }}",
        "{{ userId | date: '%999999999Y' }}",
    ],
)
def test_a_liquid_template_that_makes_something_huge_is_stopped(template: str) -> None:
    with pytest.raises(InvalidPayload, match="@liquid"):
        resolved({"a": {"@liquid": template}})


def test_liquid_is_loaded_only_when_a_mapping_has_it() -> None:
    code = (
        "import sys; from penstock.destinations.mappings import compile_mapping as c;"
        "c({'a': {'@path': 'x'}}); assert 'liquid' not in sys.modules;"
        "c({'a': {'@liquid': 'x'}}); assert 'liquid' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
