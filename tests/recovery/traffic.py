"""Clients that remember what each answer promised, and the check of those promises."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
from tests.running import CommandFailedError, RunningPenstock

from penstock.events.model import RejectedRecord
from penstock.journal.contract import REJECTED
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.ledger import LedgerRow, ledger_holes, ledger_rows
from penstock.monitor.store import MonitorStore

KEY = "kill-key"
WORKSPACE = f"""
sources:
  shop: {{name: Shop, type: server, write_keys: [{KEY}]}}
"""
_AUTH = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
_HEADERS = {"Authorization": _AUTH, "Content-Type": "application/json"}
_MESSAGE_ID = re.compile(rb'"messageId": "([^"]+)"')
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


class Promises:
    """What the answers so far promise about each messageId, and each refusal."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        """Answered 200: in the warehouse exactly once."""
        self.doubtful: set[str] = set()
        """Unanswered or 5xx: at most once."""
        self.refused: set[str] = set()
        """Marks of what was refused: never in the warehouse, findable among the rejected."""


class Client(threading.Thread):
    """One connection that sends until told to stop."""

    def __init__(self, port: int, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.promises = Promises()
        self.failure: BaseException | None = None
        self._port = port
        self._name = f"c{number}-{seed}"
        self._random = random.Random(f"{seed}-{number}")
        self._stop_sending = stop
        self._count = 0
        self._connection: http.client.HTTPConnection | None = None
        self._sent: list[tuple[str, bytes, list[str]]] = []

    def run(self) -> None:
        acts = [self._single, self._batch, self._batch, self._mixed, self._broken, self._repeat]
        try:
            while not self._stop_sending.is_set():
                self._random.choice(acts)()
        except BaseException as error:
            self.failure = error
            raise
        finally:
            if self._connection is not None:
                self._connection.close()

    def _event(self) -> dict[str, object]:
        self._count += 1
        kind = self._random.randrange(8)
        return {
            "type": "track",
            "messageId": f"{self._name}-{self._count}",
            "userId": f"u{self._random.randrange(50)}",
            "event": f"Kind {kind}",
            "properties": {"n": self._count, f"p{kind}": "x" * self._random.randrange(200)},
        }

    def _single(self) -> None:
        event = self._event()
        self._send("/v1/track", json.dumps(event).encode(), [str(event["messageId"])])

    def _batch(self) -> None:
        events = [self._event() for _ in range(self._random.randrange(1, 40))]
        body = json.dumps({"batch": events}).encode()
        self._send("/v1/batch", body, [str(event["messageId"]) for event in events])

    def _mixed(self) -> None:
        events = [self._event() for _ in range(5)]
        bad = self._event()
        del bad["event"]
        body = json.dumps({"batch": [*events[:2], bad, *events[2:]]}).encode()
        status = self._send("/v1/batch", body, [str(event["messageId"]) for event in events])
        if status == 200:
            self.promises.refused.add(str(bad["messageId"]))

    def _broken(self) -> None:
        event = self._event()
        body = json.dumps(event).encode()[:-1]
        if self._post("/v1/track", body) == 400:
            self.promises.refused.add(str(event["messageId"]))

    def _repeat(self) -> None:
        if self._sent:
            path, body, ids = self._random.choice(self._sent[-200:])
            self._send(path, body, ids)

    def _send(self, path: str, body: bytes, ids: list[str]) -> int | None:
        status = self._post(path, body)
        self._sent.append((path, body, ids))
        if status == 200:
            self.promises.acknowledged.update(ids)
        elif status is None or status == 429 or status >= 500:
            self.promises.doubtful.update(ids)
        else:
            raise AssertionError(f"{path} answered {status} to a good request")
        return status

    def _post(self, path: str, body: bytes) -> int | None:
        """The status, or None when there was no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            self._connection.request("POST", path, body, _HEADERS)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            self._stop_sending.wait(0.05)
            return None
        return answer.status


class Traffic:
    """Several clients at once."""

    def __init__(self, port: int, *, clients: int, seed: int) -> None:
        self._stop = threading.Event()
        self._clients = [Client(port, number, seed, self._stop) for number in range(clients)]

    def start(self) -> None:
        """Begin to send."""
        for client in self._clients:
            client.start()

    def acknowledged(self) -> int:
        """Events acknowledged so far."""
        return sum(len(client.promises.acknowledged) for client in self._clients)

    def in_doubt(self) -> int:
        """Events sent without a good answer so far."""
        return sum(len(client.promises.doubtful) for client in self._clients)

    def stop(self) -> Promises:
        """Stop, and add up what was promised."""
        self._stop.set()
        total = Promises()
        for client in self._clients:
            client.join(timeout=180)
            assert not client.is_alive(), "a client hangs"
            assert client.failure is None, client.failure
            total.acknowledged |= client.promises.acknowledged
            total.doubtful |= client.promises.doubtful
            total.refused |= client.promises.refused
        total.doubtful -= total.acknowledged
        return total


def wait_until_loaded(penstock: RunningPenstock, limit: timedelta = timedelta(minutes=8)) -> None:
    """Wait until everything received has reached the warehouse."""
    deadline = time.monotonic() + limit.total_seconds()
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = status = json.loads(penstock.command("status", "--json"))
        except CommandFailedError as failed:
            last = failed
            continue
        if not status["process_lag"] and not status["warehouse_lag"]:
            return
    raise AssertionError(f"the warehouse did not catch up: {last}\n{penstock.log_tail()}")


def assert_kept(penstock: RunningPenstock, promises: Promises) -> None:
    """Check every promise against the warehouse and the journal."""
    text = penstock.command("sql", "select id from shop.tracks", "--format", "csv")
    rows = Counter(row[0] for row in list(csv.reader(io.StringIO(text)))[1:])
    lost = [key for key in promises.acknowledged if rows[key] == 0]
    assert not lost, f"{len(lost)} of {len(promises.acknowledged)} lost, such as {lost[:5]}"
    twice = [key for key, count in rows.items() if count > 1]
    assert not twice, f"{len(twice)} loaded twice, such as {twice[:5]}"
    invented = rows.keys() - promises.acknowledged - promises.doubtful
    assert not invented, f"{len(invented)} rows nobody sent, such as {sorted(invented)[:5]}"
    assert_event_tables_agree(penstock)
    assert_refusals_kept(penstock, promises.refused)


def assert_event_tables_agree(penstock: RunningPenstock) -> None:
    """Each row of ``tracks`` has its row in the event's table, and the other way round."""
    tables = [
        str(row["table_name"])
        for row in penstock.sql(
            "select table_name from information_schema.tables where table_schema = 'shop' "
            "and table_name like 'kind_%'"
        )
    ]
    union = " union all ".join(f"select id, event from shop.{table}" for table in tables)
    (found,) = penstock.sql(
        "select count(*) as n from (select id, event from shop.tracks) t full join "
        f"({union}) e using (id, event) where t.id is null or e.id is null"
    )
    assert found["n"] == 0, f"{found['n']} rows are in only one of tracks and the event tables"


def assert_refusals_kept(penstock: RunningPenstock, marks: set[str]) -> None:
    """Everything refused can be found, with its original bytes."""
    originals = []
    journal = SqliteJournal(penstock.data / "journal")
    try:
        for part in journal.partitions(REJECTED):
            position = 0
            while True:
                reading = journal.read(REJECTED, part, position, 10_000)
                originals += [
                    record.original
                    for block in reading.blocks
                    for record in _decode_rejected(block.body)
                ]
                if reading.next == position:
                    break
                position = reading.next
    finally:
        journal.close()
    found = {match.decode() for text in originals for match in _MESSAGE_ID.findall(text)}
    missing = sorted(marks - found)
    assert not missing, f"{len(missing)} refusals can't be found, such as {missing[:5]}"


def assert_ledger_balances(penstock: RunningPenstock, promises: Promises) -> list[LedgerRow]:
    """Check that the loss ledger misses nothing in any stage; gives its rows."""
    rows = settled_ledger(penstock, loaded=len(promises.acknowledged))
    unbalanced = [row for row in rows if row.missing]
    assert not unbalanced, f"the ledger does not balance: {unbalanced}"
    with opened_monitor(penstock) as store:
        assert ledger_holes(store.connection) == []
    return rows


def settled_ledger(
    penstock: RunningPenstock, *, accepted: int = 0, loaded: int = 0
) -> list[LedgerRow]:
    """The ledger once nothing moves any more."""
    deadline = time.monotonic() + 240
    rows: list[LedgerRow] = []
    while time.monotonic() < deadline:
        time.sleep(0.5)
        status = json.loads(penstock.command("status", "--json"))
        if status["process_lag"] or status["warehouse_lag"]:
            continue
        with opened_monitor(penstock) as store:
            rows = ledger_rows(store.connection)
        if (
            rows
            and not any(row.waiting for row in rows)
            and sum(row.accepted for row in rows) >= accepted
            and sum(row.loaded for row in rows) >= loaded
        ):
            return rows
    raise AssertionError(f"the ledger did not settle: {rows}\n{penstock.log_tail()}")


@contextmanager
def opened_monitor(penstock: RunningPenstock) -> Iterator[MonitorStore]:
    """What the monitor counted."""
    store = MonitorStore(penstock.data / "monitor.sqlite")
    try:
        yield store
    finally:
        store.close()
