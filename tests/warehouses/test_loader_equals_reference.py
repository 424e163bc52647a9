"""The loader against a slow, obvious second implementation of the contract."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.events.model import Record
from penstock.warehouses.duckdb import DuckDbWarehouse
from tests.reference.compare import assert_nothing_lost, assert_same
from tests.reference.strategies import chunked, stored_events
from tests.reference.warehouse import ReferenceWarehouse


def record(event: bytes) -> Record:
    return Record("web", json.loads(event)["messageId"], 0, event)


def check(chunks: list[list[bytes]], **caps: int) -> None:
    warehouse = DuckDbWarehouse(":memory:", threads=1, **caps)  # type: ignore[arg-type]
    reference = ReferenceWarehouse(**caps)  # type: ignore[arg-type]
    try:
        loaded = 0
        for chunk in chunks:
            loaded += len(chunk)
            warehouse.load(warehouse.prepare([record(event) for event in chunk]), 0, loaded)
            for event in chunk:
                reference.load("web", event)
        connection = warehouse.connection
        assert_same(reference, connection, "web")
        assert_nothing_lost([e for chunk in chunks for e in chunk], connection, "web")
    finally:
        warehouse.close()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_events_in_random_chunks(data: st.DataObject) -> None:
    events = data.draw(stored_events())
    check(data.draw(chunked(events)))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_events_with_small_caps(data: st.DataObject) -> None:
    events = data.draw(stored_events())
    check(data.draw(chunked(events)), max_event_tables=2, max_columns=18)


@pytest.mark.soak
@settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_many_more_random_events(data: st.DataObject) -> None:
    events = data.draw(stored_events(max_size=25))
    caps = data.draw(st.sampled_from([{}, {"max_event_tables": 2, "max_columns": 18}]))
    check(data.draw(chunked(events)), **caps)


@pytest.mark.parametrize("position", [5, 9])
def test_position_and_rows_come_together(position: int) -> None:
    warehouse = DuckDbWarehouse(":memory:")
    event = {"type": "track", "messageId": "m", "event": "A", "userId": "u",
             "receivedAt": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z"}  # fmt: skip
    warehouse.load(warehouse.prepare([record(json.dumps(event).encode())]), 3, position)
    assert warehouse.progress()[3].next == position
    assert warehouse.progress()[3].loaded == 1
    warehouse.close()
