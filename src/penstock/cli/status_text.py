"""What ``penstock status`` prints."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.cli.options import printable
from penstock.cli.tables import as_table
from penstock.metrics import STALE_S, Snapshot
from penstock.monitor.status import Balance, Status

__all__ = ["Role", "roles_of", "status_text"]

_MOST_DAMAGE = 3
_MOST_GAPS = 10


@dataclass(frozen=True)
class Role:
    """How a process of the engine is."""

    name: str
    state: str
    """runs, silent or fails."""
    detail: str
    memory_bytes: int | None
    lag_seconds: float | None
    """Age of the oldest event it has not read, where it reads any."""


def roles_of(snapshots: list[Snapshot], failures: Mapping[str, str], now: float) -> list[Role]:
    """Every role that reported or failed; ``failures`` are the errors that ended roles."""
    found: dict[str, Role] = {}
    for snapshot in snapshots:
        values = {value.metric: value.value for value in snapshot.page.values}
        age = now - snapshot.at
        silent = age > STALE_S
        found[snapshot.role] = Role(
            snapshot.role,
            "silent" if silent else "runs",
            f"for {age:.0f} s" if silent else "",
            int(values.get("penstock_role_memory_bytes", 0)) or None,
            values.get("penstock_lag_seconds"),
        )
    for name, reason in failures.items():
        found[name] = Role(name, "fails", reason, None, None)
    return [found[name] for name in sorted(found)]


def status_text(found: Status, roles: list[Role], *, doctor: str, width: int | None) -> str:
    """The whole page; lines longer than ``width`` are wrapped. ``doctor``: how to call it."""
    seconds = {role.name: role.lag_seconds for role in roles}
    unloaded = f"{_figure(found.warehouse_lag)}{_age(seconds.get('warehouse'))}"
    rows = [
        ("engine", "running" if found.running else "stopped"),
        ("received", f"{found.received:,}"),
        ("  of which duplicate", f"{found.duplicates:,}"),
        ("  waiting to be processed", f"{found.process_lag:,}{_age(seconds.get('process'))}"),
        ("loaded into the warehouse", _figure(found.loaded)),
        ("  waiting to be loaded", unloaded),
        ("  kept out by integrations.Warehouses", _figure(found.filtered)),
        ("rejected", f"{found.rejected:,}"),
        ("received per second", f"{found.received_per_s:,.0f}"),
        ("loaded per second", _figure(found.loaded_per_s)),
        ("journal on disk", f"{found.journal_bytes / 1e6:,.1f} MB"),
        ("ledger of 24 hours", _balance(found.balance)),
    ]
    lines = as_table([], rows, right=[False, True]).splitlines()
    sections = (
        _roles(roles if found.running else []),
        _gaps(found.balance),
        _refused(found),
        _disabled(found),
        _discards(found),
        _damage(found, doctor),
    )
    for section in sections:
        lines += [part for line in section for part in _wrapped(line, width)]
    return "".join(f"{line}\n" for line in lines)


def _wrapped(line: str, width: int | None) -> list[str]:
    if width is None or len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent="    ", break_on_hyphens=False)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _age(seconds: float | None) -> str:
    return f" (oldest {seconds:,.0f} s)" if seconds is not None and seconds >= 1 else ""


def _balance(balance: Balance | None) -> str:
    if balance is None:
        return "not counted yet"
    missing = sum(abs(gap.events) for gap in balance.missing)
    if missing or balance.holes:
        return f"DOES NOT BALANCE: {missing:,}"
    return "balances"


def _roles(roles: list[Role]) -> Iterator[str]:
    if roles:
        yield ""
        yield "roles"
    for role in roles:
        memory = f", {role.memory_bytes / 1e6:,.0f} MB" if role.memory_bytes else ""
        detail = f" {printable(role.detail)}" if role.detail else ""
        yield f"  {role.name} {role.state}{detail}{memory}"


def _gaps(balance: Balance | None) -> Iterator[str]:
    if balance is None or not (balance.missing or balance.holes):
        return
    yield ""
    yield "the loss ledger misses events, by stage"
    stages: Counter[str] = Counter()
    for gap in balance.missing:
        stages[gap.stage] += abs(gap.events)
    for stage, events in stages.most_common():
        yield f"  {stage}: {events:,}"
    for gap in balance.missing[-_MOST_GAPS:]:
        what = "lost" if gap.events > 0 else "doubled"
        source = gap.source or "unknown source"
        yield f"  {abs(gap.events):,} {what} at {gap.stage}, {source}, received {gap.hour[:13]} h"
    for hole in balance.holes[-_MOST_GAPS:]:
        yield f"  passed without a word: {hole}"


def _refused(found: Status) -> Iterator[str]:
    if found.rejected_lately:
        yield ""
        yield "rejected lately, with the newest reason of each"
    for one in found.rejected_lately:
        place = one.source or "unknown source"
        yield f"  {one.count:,} x {one.code} ({place}): {printable(one.last_reason)}"


def _disabled(found: Status) -> Iterator[str]:
    if found.disabled:
        yield ""
        yield "disabled sources; their events are refused"
    for source in found.disabled:
        yield f"  {source.source}: {source.refused:,} requests refused lately"


def _discards(found: Status) -> Iterator[str]:
    if found.discards_lately:
        yield ""
        yield "values left out of the warehouse in the last 24 hours, in <source>.discards"
    for lost in found.discards_lately or []:
        place = printable(f"{lost.column} of {lost.source}.{lost.table} ({lost.reason})")
        newest = printable(lost.last_message_id)
        yield f"  {lost.count:,} x {place}, newest in messageId {newest}"


def _damage(found: Status, doctor: str) -> Iterator[str]:
    """A journal that was killed often has many reports of the same kind."""
    if not found.damage:
        return
    yield ""
    yield f"damage to the journal was found {len(found.damage):,} times; the newest:"
    for report in found.damage[-_MOST_DAMAGE:]:
        yield f"  {_moment(report.get('at'))} {report['file']}: {report['what']}"
    yield f"  `{doctor}` says what it means"


def _moment(at: object) -> str:
    if not isinstance(at, int | float):
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
