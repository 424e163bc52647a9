"""The ledger of deliveries for a reader that outlives the file, and does not make one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock.destinations.delivery.records import Gone, LedgerSum
from penstock.destinations.delivery.store import DeliveryStore

__all__ = ["DeliveriesAsked"]


class DeliveriesAsked:
    """Called as ``DeliveryStore.ledger``; all is empty while there is no file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def fates(
        self, places: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], dict[str, tuple[str, str]]]:
        """As ``DeliveryStore.fates``."""
        if not self._file.is_file():
            return {}
        store = DeliveryStore(self._file)
        try:
            return store.fates(places)
        finally:
            store.close()

    def __call__(
        self, since_hour: int
    ) -> tuple[dict[tuple[str, int], tuple[int, int]], list[LedgerSum], list[Gone]]:
        """Opened each time: a file that was set aside must not be read on."""
        if not self._file.is_file():
            return {}, [], []
        store = DeliveryStore(self._file)
        try:
            return store.ledger(since_hour)
        finally:
            store.close()
