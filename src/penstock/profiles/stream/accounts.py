"""Accounts: what group calls said of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.profiles.observed import Observed
from penstock.profiles.stream.profile import fitting
from penstock.profiles.traits.custom import observe_traits

__all__ = ["Accounts", "decode_account"]

_encode = msgspec.msgpack.Encoder().encode
decode_account = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Accounts:
    """Traits of accounts, by group id; kept as those of people are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._changed: dict[str, dict[str, Any]] = {}

    def learn(self, event: Observed, strategies: Mapping[str, str]) -> None:
        """Take in a group call."""
        group = event.group_id
        if not group:
            return
        state = self._changed.get(group)
        if state is None:
            state = self._changed[group] = self._load(group)
        observe_traits(state, event, strategies)

    def _load(self, group: str) -> dict[str, Any]:
        row = self._connection.execute(
            "SELECT state FROM accounts WHERE group_id = ?", (group,)
        ).fetchone()
        return decode_account(row[0]) if row else {}

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what changed; in the batch's transaction."""
        rows = [(group, _encoded(state)) for group, state in self._changed.items()]
        connection.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?)", rows)

    def settle(self) -> None:
        """The transaction is through, or given up."""
        self._changed.clear()


def _encoded(state: dict[str, Any]) -> bytes:
    try:
        return _encode(state)
    except OverflowError:
        return _encode(fitting(state))
