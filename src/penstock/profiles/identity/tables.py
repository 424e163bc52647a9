"""The tables of the identity graph."""

from __future__ import annotations

import sqlite3

__all__ = ["create_tables"]

_SCHEMA = """
CREATE TABLE segments (id INTEGER PRIMARY KEY, public_id TEXT NOT NULL UNIQUE,
    profile INTEGER NOT NULL, merges INTEGER NOT NULL DEFAULT 0, created_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL, message_id TEXT NOT NULL, source TEXT NOT NULL,
    event_type TEXT NOT NULL);
CREATE INDEX segments_merged ON segments (profile) WHERE profile <> id;
CREATE TABLE ids (id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, value TEXT NOT NULL,
    original TEXT NOT NULL, segment INTEGER NOT NULL, attached_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL, message_id TEXT NOT NULL, source TEXT NOT NULL,
    event_type TEXT NOT NULL, event_name TEXT NOT NULL, removed_us INTEGER);
CREATE UNIQUE INDEX ids_value ON ids (value, type) WHERE removed_us IS NULL;
CREATE INDEX ids_segment ON ids (segment);
CREATE TABLE merges (id INTEGER PRIMARY KEY AUTOINCREMENT, loser INTEGER NOT NULL,
    survivor INTEGER NOT NULL, at_us INTEGER NOT NULL, received_us INTEGER NOT NULL,
    message_id TEXT NOT NULL, source TEXT NOT NULL, event_type TEXT NOT NULL, type TEXT NOT NULL,
    value TEXT NOT NULL, undone_us INTEGER, undone_by TEXT NOT NULL DEFAULT '');
CREATE INDEX merges_survivor ON merges (survivor);
CREATE INDEX merges_loser ON merges (loser);
CREATE TABLE barriers (first INTEGER NOT NULL, second INTEGER NOT NULL, at_us INTEGER NOT NULL,
    set_by TEXT NOT NULL, PRIMARY KEY (first, second)) WITHOUT ROWID;
CREATE TABLE drops (id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, type TEXT NOT NULL,
    value TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, message_id TEXT NOT NULL, UNIQUE (segment, type, value, reason));
CREATE TABLE links (segment INTEGER NOT NULL, group_id TEXT NOT NULL, since_us INTEGER NOT NULL,
    message_id TEXT NOT NULL, PRIMARY KEY (segment, group_id)) WITHOUT ROWID;
CREATE INDEX links_group ON links (group_id);
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Make them, in a transaction that the caller commits."""
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
