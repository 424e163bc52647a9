"""On PYTHONPATH of a process, makes one stage lose one event, once: PENSTOCK_TEST_LOSE names it."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

LOST_ID = "lost-1"
"""The event that is lost has this messageId."""


def _is_it(record: Any) -> bool:
    return bool(record.message_id == LOST_ID)


def _acceptor(module: ModuleType) -> None:
    accept = module.Acceptor.accept

    def losing(self: Any, request: Any) -> Any:
        acceptance = accept(self, request)
        acceptance.records = [one for one in acceptance.records if not _is_it(one)]
        return acceptance

    module.Acceptor.accept = losing


def _committer(module: ModuleType) -> None:
    blocks = vars(module)["_blocks"]
    vars(module)["_blocks"] = lambda records, counts: blocks(
        [one for one in records if getattr(one, "message_id", "") != LOST_ID], counts
    )


def _dedupe(module: ModuleType) -> None:
    fresh = module.DedupeIndex.fresh

    def losing(self: Any, records: Any) -> Any:
        found = fresh(self, records)
        kept = [n for n, one in enumerate(found.records) if not _is_it(one)]
        return module.Keyed(
            [found.records[n] for n in kept], [found.keys[n] for n in kept], found.duplicates
        )

    module.DedupeIndex.fresh = losing


def _staging(module: ModuleType) -> None:
    add = module.SourceStage.add
    module.SourceStage.add = lambda self, sequence, event: (
        None if _is_it(event) else add(self, sequence, event)
    )


_LOSERS: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "acceptor": ("penstock.ingest.accept", _acceptor),
    "committer": ("penstock.ingest.committer", _committer),
    "dedupe": ("penstock.process.dedupe", _dedupe),
    "staging": ("penstock.warehouses.staging", _staging),
}


class _Finder(importlib.abc.MetaPathFinder):
    """Changes one module right after it is imported."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def run_and_change(module: ModuleType) -> None:
            run(module)
            self._change(module)

        spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


if "PENSTOCK_TEST_LOSE" in os.environ:
    sys.meta_path.insert(0, _Finder(*_LOSERS[os.environ["PENSTOCK_TEST_LOSE"]]))
