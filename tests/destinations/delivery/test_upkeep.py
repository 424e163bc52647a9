"""What is counted stays readable and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.destinations.delivery.changes import Bulk, Changes, Example, write
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.latency import bucket_of, seconds_at
from penstock.destinations.delivery.positions import packed, unpacked
from penstock.destinations.delivery.store import DeliveryStore
from penstock.destinations.delivery.upkeep import tidy
from penstock.destinations.delivery.wanted import is_wanted
from penstock.errors import ConfigurationError, DeliveryError, FormatTooNew

NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


def us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def test_positions_take_next_to_no_room() -> None:
    for positions in ([], [5], [3, 4, 900], list(range(10**6, 10**6 + 50_000))):
        assert unpacked(packed(positions)) == positions
    assert len(packed(range(100_000))) < 1_000


def test_a_bucket_is_at_most_a_quarter_too_long() -> None:
    for seconds in (0.0005, 0.001, 0.02, 0.5, 3.0, 120.0, 9_000.0):
        assert seconds <= seconds_at(bucket_of(seconds)) + 0.001 <= max(seconds * 1.26, 0.003)


def test_old_minutes_become_hours_and_old_hours_go(tmp_path: Path) -> None:
    file = DeliveryFile(tmp_path / "d.sqlite")
    store = DeliveryStore(tmp_path / "d.sqlite", clock=lambda: us(NOW))
    for days in (0, 8, 100):
        changes = Changes()
        changes.counts["send", "delivered", ""] = 10
        changes.latencies[bucket_of(0.5)] = 10
        with file.transaction() as connection:
            write(connection, "hook", changes, us(NOW - timedelta(days=days)))
    with file.transaction() as connection:
        tidy(connection, us(NOW), timedelta(days=90), {})
    counts = store.counts("hook", NOW - timedelta(days=200), NOW + timedelta(days=1), by="hour")
    assert [(one.at, one.count) for one in counts] == [
        (NOW.replace(minute=0) - timedelta(days=8), 10), (NOW.replace(minute=0), 10),
    ]  # fmt: skip
    (seen,) = store.overview()
    assert seen.delivered == 10
    assert seen.p95_seconds == pytest.approx(0.5, rel=0.3)
    file.close()
    store.close()


def test_samples_and_dead_letters_are_bounded_and_paged(tmp_path: Path) -> None:
    file = DeliveryFile(tmp_path / "d.sqlite")
    store = DeliveryStore(tmp_path / "d.sqlite")
    changes = Changes()
    for n in range(25):
        changes.examples.append(Example("send", "failed", "503", f"m{n}", "A", "no", None))
    for code in ("400", "401", "402"):
        changes.bulk[Bulk("send", 0, "discarded", code, "", 0, 0)] = [1, 2, 3, 10]
    with file.transaction() as connection:
        write(connection, "hook", changes, us(NOW))
    samples = store.samples("hook")
    assert [one.message_id for one in samples] == [f"m{n}" for n in range(24, 14, -1)]
    first, second = store.dead_letters(limit=2)
    (third,) = store.dead_letters(limit=2, before=second.id)
    assert [first.code, second.code, third.code] == ["402", "401", "400"]
    assert [one.id for one in store.dead_letters("hook", reason="401")] == [second.id]
    assert store.discard_dead("hook", [first.id]) == 4
    assert store.retry_dead("hook", [first.id, second.id]) == 4
    assert store.retry_dead("hook") == 4, "the other is being retried already"
    with file.transaction() as connection:
        tidy(connection, us(NOW), timedelta(days=90), {0: 11})
    assert store.dead_letters() == [], "the journal no longer has them"
    file.close()
    store.close()


def test_a_damaged_file_is_set_aside_only_by_who_may(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DeliveryError, match="sets it aside"):
        DeliveryStore(path)
    DeliveryStore(path, mend=True).close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1
    file = DeliveryFile(path)
    file.connection.execute("UPDATE about SET format_version = 99")
    file.close()
    with pytest.raises(FormatTooNew):
        DeliveryStore(path)


def test_a_replay_needs_a_range(tmp_path: Path) -> None:
    store = DeliveryStore(tmp_path / "d.sqlite")
    with pytest.raises(ConfigurationError, match="end"):
        store.request_replay("hook", NOW, NOW)
    store.close()


def test_nothing_is_wanted_where_there_is_nothing(tmp_path: Path) -> None:
    state, deliveries = tmp_path / "state.sqlite", tmp_path / "deliveries.sqlite"
    assert not is_wanted(state, deliveries)
    store = DeliveryStore(deliveries)
    assert not is_wanted(state, deliveries)
    store.request_replay("hook", NOW, NOW + timedelta(hours=1))
    assert is_wanted(state, deliveries)
    store.close()
