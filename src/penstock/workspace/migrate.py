"""Bringing an older state store forward, with Alembic.

The number of the newest migration that a store has had is its ``format_version``; there is no
second record of it. A migration is one file in ``migrations/versions``, whose first line says why.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

__all__ = ["migrate", "newest"]

_FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection, stored: int) -> None:
    """Run every migration after number ``stored``, in the transaction that is open."""
    revisions = _scripts().iterate_revisions("head", f"{stored:04}")
    with Operations.context(MigrationContext.configure(connection)):
        for revision in reversed(list(revisions)):
            revision.module.upgrade()


def newest() -> int:
    """Number of the newest migration."""
    head = _scripts().get_current_head()
    assert head is not None
    return int(head)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER))
