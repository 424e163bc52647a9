"""All that the API needs, passed in by whoever serves it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from litestar.di import NamedDependency

from penstock.errors import MonitorError, NotFound
from penstock.journal.contract import Journal
from penstock.monitor.status import Status, read_status
from penstock.monitor.store import MonitorStore, is_kept
from penstock.settings import Settings
from penstock.warehouses.running import QueryOptions
from penstock.warehouses.service import query_engine
from penstock.workspace.rules import SLUG
from penstock.workspace.store import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.destinations.delivery.store import DeliveryStore
    from penstock.profiles.reading.people import ProfileReader

__all__ = ["Given", "Services"]

_ASK_LIMIT_S = 10.0


@dataclass(frozen=True)
class Services:
    """The stores behind the API, and its own secret for commands of this machine."""

    settings: Settings
    workspace: Workspace
    journal: Journal
    local_token: str
    """A token of an administrator that lives as long as the process; empty: there is none."""
    damage: Callable[[], list[dict[str, object]]] = list
    """What the journal set aside because it couldn't be read."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process is to end; streams end then."""
    now: Callable[[], float] = time.monotonic
    """Seconds, for limits on logins."""

    def ask(self, sql: str) -> pa.Table:
        """Penstock's own question to the warehouse. Raises EngineUnreachable, QueryRefused."""
        options = QueryOptions(internal=True, timeout_s=_ASK_LIMIT_S)
        return query_engine(self.settings.socket_file, sql, None, _ASK_LIMIT_S, options)

    @contextmanager
    def monitor(self) -> Iterator[MonitorStore]:
        """The monitor's store, for this thread. Raises MonitorError when it is not there yet."""
        if not is_kept(self.settings.monitor_file):
            raise MonitorError("the monitor has not counted anything yet; try again in a moment")
        store = MonitorStore(self.settings.monitor_file)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def deliveries(self) -> Iterator[DeliveryStore]:
        """What is known of deliveries, for this thread. Raises DeliveryError."""
        from penstock.destinations.delivery.store import DeliveryStore

        store = DeliveryStore(self.settings.deliveries_file)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def profiles(self, space: str) -> Iterator[ProfileReader]:
        """The people of a space, for this thread. Raises NotFound, ProfileError."""
        from penstock.profiles.reading.people import opened_reader

        spaces = {one.slug: one for one in self.workspace.definitions.spaces()}
        if space != "default" and not SLUG.fullmatch(space):
            raise NotFound(f"no space {space}")
        strategies = spaces[space].trait_strategies if space in spaces else {}
        with opened_reader(self.settings.profiles_folder, space, strategies) as reader:
            yield reader

    def read_status(self, wait: bool) -> Status:
        """The status; rates only when there is time to wait a second for them."""
        kept = is_kept(self.settings.monitor_file)
        with self.monitor() if kept else nullcontext() as store:
            return read_status(
                self.journal,
                self.ask if self.settings.warehouse_file.exists() else None,
                running=wait,
                damage=self.damage(),
                sources=self.workspace.sources(),
                store=store,
            )


Given = NamedDependency[Services]
"""As handlers ask for them."""
