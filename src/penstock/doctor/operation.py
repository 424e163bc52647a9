"""Checks of what runs: ports, roles, the warehouse, lag, the loss ledger, sources."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import ssl
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from penstock.doctor.findings import NOTE, PROBLEM, Examined, Finding
from penstock.doctor.reading import newest_rejected, opened, rows, waiting
from penstock.errors import PenstockError
from penstock.journal.contract import EVENTS, RECEIVED
from penstock.metrics import STALE_S, Snapshot, read_snapshots

__all__ = [
    "check_lag",
    "check_ledger",
    "check_ports",
    "check_roles",
    "check_sources",
    "check_warehouse",
]

_ANSWER_S = 3.0
_LATE = timedelta(minutes=1)
_LATELY = timedelta(hours=24)
_NEARLY = 0.8
_READERS = (
    ("process", RECEIVED), ("warehouse", EVENTS), ("monitor", EVENTS), ("profiles:default", EVENTS),
)  # fmt: skip


def check_ports(place: Examined) -> Iterator[Finding]:
    """Ports that somebody else has, or that do not answer."""
    settings = place.settings
    if place.running:
        yield from _check_collector(place)
        return
    ports = (("port", settings.host, settings.port),
             ("console_port", settings.console_host, settings.console_port))  # fmt: skip
    for name, host, port in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                yield Finding(
                    PROBLEM,
                    "ports",
                    f"{name}: {host}:{port} can't be had: {error.strerror}",
                    f"`ss -ltnp sport = :{port}` shows who has it; stop that, or set {name}",
                )


def _check_collector(place: Examined) -> Iterator[Finding]:
    settings = place.settings
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.tls_cert is not None else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    directly = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    try:
        directly.open(f"{url}/ready", timeout=_ANSWER_S).close()
    except urllib.error.HTTPError as error:
        with error:
            reason = _message(error.read())
        yield Finding(
            PROBLEM, "collector", f"the collector takes no events: {reason}", "see the other lines"
        )
    except OSError as error:
        yield Finding(
            PROBLEM,
            "ports",
            f"an engine runs, but {url} does not answer: {getattr(error, 'reason', error)}",
            "look at the log of `penstock up`; restart it when the log says nothing",
        )


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "it does not say why"


def check_roles(place: Examined) -> Iterator[Finding]:
    """Roles that stopped reporting, and queues near their limit."""
    if not place.running:
        return
    for snapshot in read_snapshots(place.settings.run_folder):
        age = place.machine.now_us / 1e6 - snapshot.at
        if age > STALE_S:
            yield Finding(
                PROBLEM,
                "roles",
                f"the role {snapshot.role} has not reported for {age:.0f} s: it hangs, or is busy "
                "with one long step",
                "look at the log; when nothing changes, restart `penstock up`, which is safe",
            )
        yield from _check_queue(snapshot)


def _check_queue(snapshot: Snapshot) -> Iterator[Finding]:
    values = {value.metric: value.value for value in snapshot.page.values}
    queued = values.get("penstock_collector_queue_bytes", 0)
    limit = values.get("penstock_collector_queue_limit_bytes", 0)
    if limit and queued > _NEARLY * limit:
        yield Finding(
            PROBLEM,
            "queue",
            f"{snapshot.role} has {queued / 1e6:.0f} MB waiting for the disk, near queue_bytes "
            f"({limit / 1e6:.0f} MB): senders soon get 429",
            "the disk is too slow, or too few workers: see `iostat -x 1`, then raise workers",
        )


def check_warehouse(place: Examined) -> Iterator[Finding]:
    """Whether the warehouse answers, or its file can be opened."""
    file = place.settings.warehouse_file
    query = "SELECT format_version FROM penstock.about"
    try:
        if place.running:
            from penstock.warehouses.service import query_engine

            stored = query_engine(place.settings.socket_file, query, None, 10)[0][0].as_py()
        elif file.exists() and place.holder == "nobody":
            stored = _format_of(str(file), query)
        else:
            return
    except PenstockError as error:
        yield Finding(
            PROBLEM,
            "warehouse",
            f"the warehouse of the running engine does not answer: {error}",
            "events wait in the journal meanwhile; see what is said of the role warehouse",
        )
        return
    except Exception as error:  # noqa: BLE001 - whatever DuckDB says of a file
        yield _unopenable(place, str(error))
        return
    from penstock.warehouses.migrations import FORMAT_VERSION

    if stored > FORMAT_VERSION:
        what = f"{file} was written by a newer Penstock (format {stored})"
        yield Finding(PROBLEM, "versions", what, "pip install --upgrade penstock")


def _format_of(file: str, query: str) -> int:
    """Opened so that it can't be changed."""
    import duckdb

    with duckdb.connect(file, read_only=True) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _unopenable(place: Examined, why: str) -> Finding:
    file = place.settings.warehouse_file
    why = why.splitlines()[0]
    if "lock" in why.lower():
        owner = re.search(r"PID (\d+)", why)
        who = f"process {owner[1]}" if owner else "another process"
        what = f"{who} has {file} open, and only one may"
        return Finding(PROBLEM, "warehouse", what, "close it there; other tools can use a snapshot")
    days = place.settings.events_retention.days
    return Finding(
        PROBLEM,
        "warehouse",
        f"{file} can't be opened: {why}",
        f"restore it from a backup (`penstock restore --help`); or move it away and start: the "
        f"journal's last {days} days are then loaded again",
    )


def check_lag(place: Examined) -> Iterator[Finding]:
    """Readers that are behind."""
    for reader, topic in _READERS:
        if reader == "monitor" and not place.settings.monitor_file.exists():
            continue
        if reader.startswith("profiles") and not place.settings.profiles:
            continue
        found = waiting(place.settings.journal_folder, reader, topic)
        if found.oldest_us is None:
            continue
        age = timedelta(microseconds=place.machine.now_us - found.oldest_us)
        if not place.running:
            what = f"{found.events:,} events wait for {reader}"
            yield Finding(NOTE, "lag", f"{what}, as no engine runs", "penstock up")
        elif age > _LATE:
            yield Finding(
                PROBLEM,
                "lag",
                f"{reader} is behind by {found.events:,} events, the oldest of them "
                f"{age.total_seconds():,.0f} s old",
                "when it does not shrink (`penstock status`), the machine is too slow for what "
                "comes in, or the role fails: see its log",
            )


def check_ledger(place: Examined) -> Iterator[Finding]:
    """Events that went missing between two stages."""
    from penstock.monitor.delivered import delivery_rows
    from penstock.monitor.ledger import ledger_rows

    file = place.settings.monitor_file
    if not file.exists():
        return
    since = datetime.fromtimestamp(place.machine.now_us / 1e6, UTC) - timedelta(days=7)
    try:
        with closing(opened(file)) as connection:
            unbalanced = ledger_rows(connection, since=since, unbalanced=True)
            undelivered = delivery_rows(connection, since=since, unbalanced=True)
    except sqlite3.Error:
        return  # the check of formats tells of a file that can't be read
    missing: Counter[tuple[str, str]] = Counter()
    for row in unbalanced:
        for stage, events in row.missing.items():
            missing[stage, row.source] += events
    for gap in undelivered:
        missing[f"deliver:{gap.destination}", gap.source] += gap.missing
    for (stage, source), events in missing.items():
        what = "lost" if events >= 0 else "doubled"
        yield Finding(
            PROBLEM,
            "ledger",
            f"the loss ledger counts {abs(events):,} events of source {source or '(unknown)'} "
            f"{what} at the stage {stage} within 7 days",
            "`penstock status` shows the hours; look for damage and failures above",
        )


def check_sources(place: Examined) -> Iterator[Finding]:
    """Sources that nothing can reach, and events that reach none."""
    settings = place.settings
    if not settings.state_file.exists():
        return
    try:
        sources = rows(settings.state_file, "SELECT slug, enabled, write_keys FROM sources")
    except sqlite3.Error:
        return  # told by the check of formats
    for slug, enabled, keys in sources:
        if enabled and not json.loads(keys or "[]"):
            what = f"the source {slug} has no write key: nothing can be sent to it"
            yield Finding(PROBLEM, "sources", what, "add one in penstock.yaml; `penstock apply`")
    oldest_us = place.machine.now_us - _LATELY // timedelta(microseconds=1)
    refused = Counter(
        (record.code, record.source)
        for record in newest_rejected(settings.journal_folder)
        if record.received_us > oldest_us
    )
    disabled = {slug for slug, enabled, _ in sources if not enabled}
    for (code, source), count in sorted(refused.items()):
        if code == "source_disabled" and source in disabled:
            what = f"the source {source} is disabled, and {count:,} events for it were refused"
            do = f"set `enabled: true` for {source} and `penstock apply`, or stop sending"
            yield Finding(PROBLEM, "sources", f"{what} within a day", do)
        elif code == "unknown_source":
            what = f"{count:,} requests within a day had a write key that no source has"
            yield Finding(NOTE, "sources", what, "compare the senders' keys with `penstock export`")
