"""A Penstock whose profiles process is killed again and again, and what it told of audiences."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.running import RunningPenstock

KEY = "profiles-key"
PATIENCE_S = 120.0
_AUTH = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()


def until(
    holds: Callable[[], bool], what: str, penstock: RunningPenstock, patience: float = PATIENCE_S
) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}\n{penstock.log_tail()}")
        time.sleep(0.02)


def send(penstock: RunningPenstock, events: list[dict[str, Any]]) -> None:
    """Send events to the collector; each is acknowledged when this returns."""
    for at in range(0, len(events), 500):
        body = json.dumps({"batch": events[at : at + 500]}).encode()
        request = urllib.request.Request(
            f"{penstock.url}/v1/batch", body,
            {"Authorization": _AUTH, "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200


def profiles_pid(penstock: RunningPenstock) -> int | None:
    """The process of the role; None while there is none."""
    children = Path(f"/proc/{penstock.pid}/task/{penstock.pid}/children")
    for child in children.read_text(encoding="ascii").split():
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if b"penstock.roles" in words and b"profiles" in words:
            return int(child)
    return None


def ask(penstock: RunningPenstock, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of the space's file; none before it is there."""
    file = penstock.data / "profiles" / "default.sqlite"
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []  # its tables are being made


class Killer(threading.Thread):
    """Kills the role at random moments until told to stop."""

    def __init__(self, penstock: RunningPenstock, seed: int, longest: float) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._penstock = penstock
        self._chance = random.Random(seed)
        self._longest = longest
        self._over = threading.Event()

    def run(self) -> None:
        before = None
        while not self._over.wait(0.02):
            pid = profiles_pid(self._penstock)
            if pid is None or pid == before:
                continue
            self._over.wait(self._chance.uniform(0.1, self._longest))
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
            before = pid

    def stop(self) -> None:
        """No more kills."""
        self._over.set()
        self.join()


def kill_while_reading_history(penstock: RunningPenstock, audience: str) -> bool:
    """Kill the role while the history of an audience is read; False when it was read before."""
    query = 'SELECT coalesce(sum("end" - next), 0), count(*) FROM history_parts'
    seen = "SELECT 1 FROM computations WHERE slug = ?"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pid = profiles_pid(penstock)
        found = ask(penstock, query)
        if pid is None or not found or not found[0][1]:
            if ask(penstock, f"{seen} AND state = 'live'", audience):
                return False
            time.sleep(0.002)
            continue
        os.kill(pid, signal.SIGSTOP)
        ((left, _),) = ask(penstock, query)
        os.kill(pid, signal.SIGKILL)
        until(lambda was=pid: profiles_pid(penstock) != was, "the killed one is gone", penstock)  # type: ignore[misc]
        return bool(left > 0)
    raise AssertionError(f"no history was read\n{penstock.log_tail()}")


class Hook:
    """A tool that takes everything, and remembers it by path."""

    def __init__(self) -> None:
        self.taken: dict[str, list[dict[str, Any]]] = {}
        lock = threading.Lock()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    hook.taken.setdefault(self.path, []).append(event)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        hook = self
        Answer.protocol_version = "HTTP/1.1"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def ids(self, path: str) -> Counter[str]:
        """How often each message came there."""
        return Counter(event["messageId"] for event in self.taken.get(path, []))

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
