"""Every error Penstock raises on purpose, as one tree.

::

    PenstockError
    ├── ConfigurationError      a setting or workspace file is wrong
    │   ├── AlreadyExists       there is one of that name already
    │   └── FqlError            a trigger or condition can't be read
    ├── NotFound                what was named does not exist
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
    ├── MonitorError            the monitor's file can't be read or written
    ├── DeliveryError           the file of deliveries can't be read or written
    ├── ProfileError            the file of profiles can't be read or written
    ├── BackupError             a copy could not be made, or a backup can't be restored
    ├── FormatTooNew            a newer Penstock wrote this; an older one must leave it alone
    ├── StatisticsError         the data can't carry the estimate or forecast asked for
    └── DemoError               the demo could not send its events or found a difference
"""

from __future__ import annotations

__all__ = [
    "HOPELESS",
    "AlreadyExists",
    "AlreadyRunning",
    "BackupError",
    "ConfigurationError",
    "DeliveryError",
    "DemoError",
    "EngineUnreachable",
    "FormatTooNew",
    "FqlError",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalUnwritable",
    "MonitorError",
    "NotFound",
    "PenstockError",
    "ProfileError",
    "QueryRefused",
    "StatisticsError",
    "WarehouseError",
    "WarehouseInvalid",
    "WarehouseUnavailable",
]

HOPELESS = 4
"""Exit status of a role that can't run however often it is started."""


class PenstockError(Exception):
    """Base of every error that Penstock raises on purpose."""


class ConfigurationError(PenstockError):
    """A setting or a workspace file is wrong; the message says what to change."""


class AlreadyExists(ConfigurationError):
    """There is one of that name already; the message names it."""


class FqlError(ConfigurationError):
    """A trigger or a condition can't be read; the message shows the place.

    ``what`` says what is wrong, ``position`` where: an index into ``text``, from 0.
    """

    def __init__(self, what: str, text: str, position: int) -> None:
        self.what = what
        self.text = text
        self.position = position
        start = text.rfind("\n", 0, position) + 1
        line = text[start:].split("\n", 1)[0]
        first = max(0, position - start - 60)
        caret = " " * (position - start - first) + "^"
        super().__init__(f"{what} (position {position})\n  {line[first : first + 100]}\n  {caret}")


class NotFound(PenstockError):
    """What was named does not exist; the message names it."""


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

    def __init__(self, message: str, code: str = "sql_refused") -> None:
        """``code`` is sql_refused, sql_timeout, sql_too_large, sql_cancelled or sql_busy."""
        super().__init__(message)
        self.code = code


class MonitorError(PenstockError):
    """The monitor's file can't be opened, read or written."""


class DeliveryError(PenstockError):
    """The file of deliveries can't be opened, read or written."""


class ProfileError(PenstockError):
    """The file of profiles can't be read or written."""


class BackupError(PenstockError):
    """A copy could not be made, or a backup can't be restored; nothing was put in its place."""


class FormatTooNew(PenstockError):
    """A newer Penstock wrote this. Trying again can't help: Penstock must be upgraded."""

    def __init__(self, what: object, found: int, known: int) -> None:
        super().__init__(
            f"{what} was written by a newer Penstock (format {found}; this one knows {known}): "
            "upgrade Penstock, or restore a backup from before"
        )


class StatisticsError(PenstockError):
    """The data can't carry the estimate or forecast asked for; the message says what to do."""


class DemoError(PenstockError):
    """The demo could not send its events, or found a difference."""
