"""What ``penstock status`` prints of what it read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.cli.status_text import Role, roles_of, status_text
from penstock.metrics import Page, Snapshot, Value
from penstock.monitor.discards import Discarded
from penstock.monitor.status import Balance, Disabled, Missing, Refused, Status

CALM = Status(
    running=True, received=1_000, rejected=0, processed=1_000, events=990, duplicates=10,
    loaded=990, filtered=0, process_lag=0, warehouse_lag=0, received_per_s=5.0, loaded_per_s=5.0,
    journal_bytes=1_000_000, damage=[], rejected_lately=[], discards_lately=[], disabled=[],
    balance=Balance(1_000, 10, 990, 990, 0, [], []),
)  # fmt: skip


def test_a_calm_system_is_short() -> None:
    text = status_text(CALM, [], doctor="penstock doctor", width=80)
    assert len(text.splitlines()) == 12
    assert "balances" in text
    assert "oldest" not in text


def test_many_reports_of_damage_are_folded() -> None:
    damage: list[dict[str, object]] = [
        {"at": 1_700_000_000 + n, "file": f"received/0/{n}.sqlite", "what": "frames were cut"}
        for n in range(57)
    ]
    text = status_text(replace(CALM, damage=damage), [], doctor="penstock doctor", width=None)
    assert "found 57 times; the newest:" in text
    assert [f"/{n}." in text for n in (53, 54, 55, 56)] == [False, True, True, True]
    assert "`penstock doctor` says what it means" in text


def test_a_ledger_that_does_not_balance_names_stage_source_and_hour() -> None:
    gaps = [Missing("web", "2026-01-05T10:00:00+00:00", "process", 3),
            Missing("", "2026-01-05T11:00:00+00:00", "warehouse", -1)]  # fmt: skip
    balance = Balance(10, 0, 7, 7, 0, gaps, ["received/0: 4 to 6"])
    text = status_text(replace(CALM, balance=balance), [], doctor="d", width=80)
    assert "DOES NOT BALANCE: 4" in text
    assert "  process: 3\n" in text
    assert "  3 lost at process, web, received 2026-01-05T10 h" in text
    assert "  1 doubled at warehouse, unknown source, received 2026-01-05T11 h" in text
    assert "passed without a word: received/0: 4 to 6" in text


def test_everything_fits_80_columns_and_moves_no_cursor() -> None:
    reason = "no such thing \x1b[31m " * 20
    found = replace(
        CALM,
        rejected_lately=[Refused("too_large", "web", 5, "", reason)],
        disabled=[Disabled("web", 3)],
        discards_lately=[Discarded("web", "tracks", "c" * 60, "type", 2, "", "m" * 60)],
        damage=[{"at": 1, "file": "f" * 60, "what": "w " * 60}],
    )
    roles = [Role("process", "fails", "it " * 60, None, None)]
    text = status_text(found, roles, doctor="penstock doctor", width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "3 requests refused lately" in text


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, False), (75.0, True)])
def test_lag_is_told_in_seconds_too(seconds: float, shown: bool) -> None:
    roles = [Role("process", "runs", "", 1, seconds)]
    text = status_text(replace(CALM, process_lag=7), roles, doctor="d", width=80)
    assert ("7 (oldest 75 s)" in text) is shown


def test_roles_run_are_silent_or_fail() -> None:
    page = Page((Value("penstock_role_memory_bytes", 5e7, ("process",)),
                 Value("penstock_lag_seconds", 2.0, ("process",))))  # fmt: skip
    snapshots = [Snapshot("process", 100.0, page), Snapshot("warehouse", 40.0, Page())]
    found = roles_of(snapshots, {"monitor": "it broke"}, now=101.0)
    assert [(role.name, role.state, role.detail) for role in found] == [
        ("monitor", "fails", "it broke"), ("process", "runs", ""),
        ("warehouse", "silent", "for 61 s"),
    ]  # fmt: skip
    assert (found[1].memory_bytes, found[1].lag_seconds) == (50_000_000, 2.0)
