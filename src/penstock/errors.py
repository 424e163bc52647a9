"""Every error Penstock raises on purpose, as one tree.

::

    PenstockError
    ├── ConfigurationError      a setting or workspace file is wrong
    ├── AlreadyRunning          another engine holds the data folder
    ├── EngineUnreachable       an engine holds the data folder but does not answer
    ├── JournalError
    │   ├── JournalFull         no room to write; the sender should come back later
    │   ├── JournalUnwritable   a write or fsync failed; nothing of the batch was acknowledged
    │   └── JournalDamaged      stored bytes do not match their checksum
    ├── WarehouseError          the warehouse can't be opened, or refused a chunk
    │   ├── WarehouseUnavailable  no disk or memory just now; the same chunk may pass later
    │   ├── WarehouseInvalid    the engine must be opened again
    │   └── QueryRefused        the SQL is not one read-only statement, or exceeded its limits
    └── DemoError               the demo could not send its events or found a difference
"""

from __future__ import annotations

__all__ = [
    "AlreadyRunning",
    "ConfigurationError",
    "DemoError",
    "EngineUnreachable",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalUnwritable",
    "PenstockError",
    "QueryRefused",
    "WarehouseError",
    "WarehouseInvalid",
    "WarehouseUnavailable",
]


class PenstockError(Exception):
    """Base of every error that Penstock raises on purpose."""


class ConfigurationError(PenstockError):
    """A setting or a workspace file is wrong; the message says what to change."""


class AlreadyRunning(PenstockError):
    """Another engine holds the data folder."""


class EngineUnreachable(PenstockError):
    """An engine holds the data folder, but its warehouse does not answer."""


class JournalError(PenstockError):
    """Something is wrong with the journal."""


class JournalFull(JournalError):
    """There is no room to write; the sender should come back later."""


class JournalUnwritable(JournalError):
    """A write or an fsync failed; nothing of the batch may be acknowledged."""


class JournalDamaged(JournalError):
    """Stored bytes do not match their checksum, or the file can't be read."""


class WarehouseError(PenstockError):
    """The warehouse can't be opened, loaded or queried."""


class WarehouseUnavailable(WarehouseError):
    """There is no disk or memory just now; the same chunk may pass later."""


class WarehouseInvalid(WarehouseError):
    """The engine gave up on its file and must be opened again."""


class QueryRefused(WarehouseError):
    """The SQL is not one read-only statement, failed, or exceeded its limits."""


class DemoError(PenstockError):
    """The demo could not send its events, or found a difference."""
