"""The deliver role with waits short enough for tests: ``deliverer.py DATA``, until standard input
closes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from penstock import logs
from penstock.destinations.delivery.consumer import Bounds
from penstock.destinations.delivery.role import run_deliver
from penstock.destinations.sending.breaker import BreakerPolicy
from penstock.journal.sqlite import SqliteJournal
from penstock.settings import Settings
from penstock.workspace.store import Workspace


def main(data: Path) -> None:
    logs.set_up("deliver", form="json")
    stop = threading.Event()

    def wait_for_the_end() -> None:
        os.read(0, 1)
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    settings = Settings(data=data, allow_private_destinations=True)
    journal = SqliteJournal(settings.journal_folder)
    workspace = Workspace.of(settings)
    bounds = Bounds(breaker=BreakerPolicy(probe=0.2, longest=0.5, patience=5.0), first_wait=0.2)
    run_deliver(settings, journal, workspace, stop.is_set, bounds=bounds,
                renew=lambda slug, token: None, reporter=lambda _: lambda: None)  # fmt: skip
    workspace.close()
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
