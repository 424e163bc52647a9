"""The schema catalogue against a slow, obvious one; and nothing personal in it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.monitor import catalogue as catalogue_module
from penstock.monitor.catalogue import EventShape, catalogue
from penstock.monitor.masks import Masks, looks_personal
from penstock.monitor.store import MonitorStore
from penstock.settings import Settings
from tests.monitor.journals import START_US, Journals, event

Json = dict[str, Any]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6),
    st.sampled_from(["jam", "2026-01-05", "2026-01-05T10:00:00Z", "2026-01-05 late", ""]),
)  # fmt: skip
keys = st.sampled_from(["a", "b", "total", "size"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, max_size=4)
events = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), objects, objects), min_size=1, max_size=25
)  # fmt: skip


def reference(sent: list[tuple[str, Json, Json]]) -> dict[tuple[str, str, str], Counter[str]]:
    """Values by type, for each event, place and path."""
    found: dict[tuple[str, str, str], Counter[str]] = {}

    def kind(value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "boolean"
        if isinstance(value, int | float):
            return "integer" if value == int(value) else "number"
        if isinstance(value, str):
            dates = ("2026-01-05", "2026-01-05T10:00:00Z")
            return "date" if value in dates else "string"
        return "array" if isinstance(value, list) else "object"

    def look(name: str, place: str, path: str, value: Any) -> None:
        if path:
            found.setdefault((name, place, path), Counter())[kind(value)] += 1
        inner: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = [("$", item) for item in value]
        for key, item in inner:
            look(name, place, f"{path}.{key}" if path else key, item)

    for name, properties, context in sent:
        look(name, "properties", "", properties)
        look(name, "context", "", context)
    return found


@settings(max_examples=60, deadline=None)
@given(events, st.integers(1, 5))
def test_it_equals_the_reference(sent: list[tuple[str, Json, Json]], size: int) -> None:
    blocks = [sent[start : start + size] for start in range(0, len(sent), size)]
    found = catalogued(
        [
            [(name, {"properties": one, "context": two}) for name, one, two in block]
            for block in blocks
        ]
    )
    listed = {
        (name, shape.place, shape.path): Counter(shape.types)
        for name, one in found.items()
        for shape in one.properties
    }
    assert listed == reference(sent)
    assert {name: one.count for name, one in found.items()} == Counter(name for name, *_ in sent)
    assert all(shape.count == sum(shape.types.values())
               for one in found.values() for shape in one.properties)  # fmt: skip


def test_it_does_not_depend_on_how_events_were_cut_into_blocks() -> None:
    sent = [("A", {"properties": {"n": n, "s": f"v{n}"}}) for n in range(40)]
    assert catalogued([sent]) == catalogued([[one] for one in sent])


def test_examples_are_the_first_three_and_short() -> None:
    sent = [("A", {"properties": {"n": n % 5, "s": "jam " * 100}}) for n in range(9)]
    number, text = catalogued([sent])["A"].properties
    assert number.examples == ("0", "1", "2")
    assert len(text.examples[0]) == 60


def test_what_can_not_be_listed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module.CatalogueWriter.__init__, "__defaults__", (3,))
    sent = [("A", {"properties": {f"k{n}": 1 for n in range(5)}, "context": {"a": 1}})] * 2
    shape = catalogued([sent])["A"]
    listed = [(one.place, one.path) for one in shape.properties]
    assert listed == [("properties", f"k{n}") for n in range(3)] + [("context", "a")]
    assert shape.unlisted == 4
    deep: Json = {}
    for _ in range(700):
        deep = {"d": deep}
    assert catalogued([[("D", {"properties": deep})]])["D"].examined == 1


def test_half_a_surrogate_pair_and_huge_numbers_do_no_harm() -> None:
    found = catalogued([[("A", {"properties": {"s": "\ud83d", "n": 10**400}})]])
    assert [(one.path, one.types) for one in found["A"].properties] == [
        ("n", {"integer": 1}), ("s", {"string": 1}),
    ]  # fmt: skip


PERSONAL: list[tuple[str, object]] = [
    ("contact", "ada@example.com"),
    ("text", "write to ada@example.com today"),
    ("link", "https://shop.example/of/ada%40example.com"),
    ("caller", "+49 (170) 123-4567"),
    ("caller", 4917012345678),
    ("origin", "203.0.113.9"),
    ("origin", "2001:db8::7"),
    ("paid_with", "4111 1111 1111 1111"),
    ("session", "eyJhbGciOiJIUzI1NiJ9"),
    ("email", "hidden"),
    ("firstName", "Ada"),
    ("billing_address.street", "Main"),
    ("userPhones.$", "none"),
    ("IP", "x"),
    ("apiToken", "short"),
    ("birthday", "1815-12-10"),
    ("ssn", "no"),
]
PLAIN: list[tuple[str, object]] = [
    ("total", 12.5), ("currency", "EUR"), ("gift", True), ("sku", "SKU-00123"),
    ("shipping", "express"), ("when", "2026-01-05T10:00:00Z"), ("version", "npm:next-1.84.1"),
    ("page.url", "https://shop.example/store/cinnamon"), ("description", "Cinnamon toast"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), PERSONAL)
def test_what_is_personal_is_masked(path: str, value: object) -> None:
    assert Masks(Settings().monitor_masked).example(path, value) == "***"  # type: ignore[arg-type]


@pytest.mark.parametrize(("path", "value"), PLAIN)
def test_what_is_not_personal_is_shown(path: str, value: object) -> None:
    shown = Masks(Settings().monitor_masked).example(path, value)  # type: ignore[arg-type]
    assert shown != "***"


def test_a_link_loses_its_query() -> None:
    masks = Masks("")
    assert masks.example("link", "https://a.example/b?key=secret#c") == "https://a.example/b"


def test_no_personal_byte_is_in_the_file(tmp_path: Path) -> None:
    properties: Json = {"email": "ada@example.com", "ada@example.com": 1,
                        "who": [{"ada@example.com": {"x": "ada@example.com"}}]}  # fmt: skip
    found = catalogued([[("A", {"properties": properties})]], tmp_path)
    assert "***" in {one.path for one in found["A"].properties}
    content = b"".join(path.read_bytes() for path in tmp_path.glob("m.sqlite*"))
    assert b"ada@" not in content
    assert looks_personal("ada@example.com")


def catalogued(
    blocks: list[list[tuple[str, Json]]], folder: Path | None = None
) -> dict[str, EventShape]:
    """The catalogue, by event, of events given by name and fields."""
    with tempfile.TemporaryDirectory() as made:
        journals = Journals(Path(made) if folder is None else folder)
        store = MonitorStore(journals.data / "m.sqlite")
        worker = journals.worker(store, masked="email")
        at_us = START_US
        for block in blocks:
            records = []
            for name, fields in block:
                at_us += 1
                records.append(event(f"m{at_us}", name, at_us, **fields))
            journals.store(*records)
            worker.step()
        found = {shape.event: shape for shape in catalogue(store)}
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()
        journals.close()
    return found
