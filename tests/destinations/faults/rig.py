"""A data folder, a sink and a deliver process, all real; a test stores, breaks and kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from penstock.destinations.delivery.asked import DeliveriesAsked
from penstock.destinations.delivery.store import DeliveryStore
from penstock.destinations.model import DestinationSetup, MappingSetup, Retrying
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.delivered import DeliveryRow, delivery_rows
from penstock.monitor.store import MonitorStore
from penstock.monitor.worker import MonitorWorker
from penstock.process.meta import EventsMeta
from penstock.settings import Settings
from penstock.workspace.store import Workspace

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PATIENCE_S = 60.0
_encode = msgspec.msgpack.Encoder().encode


@dataclass
class Taken:
    """What a sink took, by path."""

    ids: dict[str, Counter[str]]

    def of(self, path: str) -> Counter[str]:
        return self.ids.get(path, Counter())


class Rig:
    """Everything of one test; ``close`` ends the processes."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data=folder / "data", allow_private_destinations=True)
        self._sink_folder = folder / "sink"
        self._sink_folder.mkdir(parents=True)
        self.behave("ok")
        self.journal = SqliteJournal(self.settings.journal_folder)
        self.workspace = Workspace.of(self.settings)
        self.store = DeliveryStore(self.settings.deliveries_file)
        self._sink: subprocess.Popen[bytes] | None = None
        self._deliver: subprocess.Popen[bytes] | None = None
        self._port = _free_port()
        self._sent = 0
        self.kills = 0

    # The sink -------------------------------------------------------------------------------

    def behave(self, mode: str) -> None:
        draft = self._sink_folder / "mode.new"
        draft.write_text(mode)
        draft.replace(self._sink_folder / "mode")

    def sink_up(self) -> None:
        self._sink = subprocess.Popen(
            [sys.executable, str(HERE / "sink.py"), str(self._port), str(self._sink_folder)]
        )
        until(self._answers)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True

    def sink_down(self) -> None:
        assert self._sink is not None
        self._sink.kill()
        self._sink.wait()

    def taken(self) -> Taken:
        found: dict[str, Counter[str]] = {}
        file = self._sink_folder / "taken"
        for line in file.read_text().splitlines() if file.exists() else ():
            path, message_id, told = line.split(" ")
            assert not told or told == message_id, "the id that a tool dedupes by is another"
            found.setdefault(path, Counter())[message_id] += 1
        return Taken(found)

    def asked(self) -> Counter[str]:
        file = self._sink_folder / "asked"
        return Counter(file.read_text().splitlines()) if file.exists() else Counter()

    # Destinations and events ----------------------------------------------------------------

    def destine(
        self,
        slug: str,
        *,
        window: float = 600.0,
        mappings: tuple[MappingSetup, ...] | None = None,
    ) -> None:
        self.workspace.put_destinations([
            DestinationSetup(
                slug, "webhook",
                settings={"url": self.url(slug)},
                mappings=mappings,
                delivery=Retrying(window=window, timeout=1.0),
            )
        ])  # fmt: skip

    def store_events(self, count: int, **more: Any) -> list[str]:
        now_us = time.time_ns() // 1000
        ids = [f"m{self._sent + n}" for n in range(count)]
        event = {"type": "track", "event": "A", "userId": "u1", **more}
        records = [
            Record("web", one, now_us, json.dumps({**event, "messageId": one}).encode())
            for one in ids
        ]
        meta = EventsMeta(0, self._sent, self._sent + count, 0, now_us, [])
        writer = self.journal.writer(EVENTS, 0)
        writer.append([NewBlock(_encode(records), count, msgspec.json.encode(meta))])
        writer.close()
        self._sent += count
        return ids

    # The deliver process --------------------------------------------------------------------

    def deliver(self) -> None:
        self._deliver = subprocess.Popen(
            [sys.executable, "-m", "tests.destinations.faults.deliverer", str(self.settings.data)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdin=subprocess.PIPE,
        )  # fmt: skip

    def kill(self) -> None:
        """End the deliver process as a power cut would, and start it again."""
        assert self._deliver is not None
        self._deliver.send_signal(signal.SIGKILL)
        self._deliver.wait()
        assert self._deliver.stdin is not None
        self._deliver.stdin.close()
        self.kills += 1
        self.deliver()

    def ledger(self, slug: str) -> dict[str, int]:
        _, sums, _ = self.store.ledger(0)
        return {
            column: sum(getattr(one, column) for one in sums if one.destination == slug)
            for column in ("delivered", "filtered", "waiting", "dead")
        }

    def delivers(self, slug: str, count: int, patience: float = PATIENCE_S) -> None:
        """Wait until so many are delivered."""
        until(lambda: self.ledger(slug)["delivered"] == count, patience)

    def passed(self, slug: str) -> int:
        places, _, _ = self.store.ledger(0)
        return places.get((slug, 0), (0, 0))[1]

    def balance(self) -> list[DeliveryRow]:
        """The ledger as the monitor sees it."""
        store = MonitorStore(self.settings.monitor_file)
        asked = DeliveriesAsked(self.settings.deliveries_file)
        worker = MonitorWorker(self.journal, store, ask_deliveries=asked, every=timedelta(0))
        worker.step()
        worker.close()
        rows = delivery_rows(store.connection)
        store.close()
        return rows

    def close(self) -> None:
        if self._deliver is not None:
            assert self._deliver.stdin is not None
            self._deliver.stdin.close()
            self._deliver.wait(30)
        if self._sink is not None:
            self.sink_down()
        self.store.close()
        self.workspace.close()
        self.journal.close()


def until(check: Callable[[], Any], patience: float = PATIENCE_S) -> Any:
    """Wait until something holds, and give it."""
    deadline = time.monotonic() + patience
    while not (found := check()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
