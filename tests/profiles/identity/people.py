"""A graph in memory, and events with ids."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from penstock.profiles.identity.graph import IdentityGraph, Resolution
from penstock.profiles.identity.rules import Identifier, IdentityRules
from penstock.profiles.identity.tables import create_tables
from penstock.profiles.observed import Observed, observe

START = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = IdentityRules(
    {kind: Identifier(limit=10_000) for kind in ("user_id", "email", "anonymous_id", "ios.id")},
    merges=10_000,
    mappings=100_000,
)
"""Rules with limits that nothing reaches."""


class People:
    """Resolves events given by their ids."""

    def __init__(self, rules: IdentityRules | None = None) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        create_tables(self.connection)
        self.graph = IdentityGraph(self.connection, rules or IdentityRules())
        self.sent = 0

    def event(self, day: float = 0, **fields: Any) -> Observed:
        self.sent += 1
        body = {
            "type": "track",
            "messageId": f"m{self.sent}",
            "event": "X",
            "timestamp": START + timedelta(days=day),
            **fields,
        }
        return observe("web", self.sent, msgspec.json.encode(body))

    def resolve(self, day: float = 0, **fields: Any) -> Resolution:
        """An event with these fields; it has to have an id."""
        found = self.graph.resolve(self.event(day, **fields))
        assert found is not None
        return found

    def see(
        self,
        user: str | None = None,
        anonymous: str | None = None,
        email: str | None = None,
        device: str | None = None,
        day: float = 0,
    ) -> Resolution:
        """An event with ids of the usual types."""
        fields: dict[str, Any] = {}
        context: dict[str, Any] = {}
        if user is not None:
            fields["userId"] = user
        if anonymous is not None:
            fields["anonymousId"] = anonymous
        if email is not None:
            context["traits"] = {"email": email}
        if device is not None:
            context["device"] = {"type": "ios", "id": device}
        return self.resolve(day, context=context, **fields)

    def ids(self, profile: int) -> set[tuple[str, str]]:
        return {(one.type, one.value) for one in self.graph.ids_of(profile)}

    def owner(self, kind: str, value: str) -> int | None:
        return self.graph.owner(kind, value)

    def partition(self) -> set[frozenset[tuple[str, str]]]:
        """All ids, by the profile they are of."""
        rows = self.connection.execute("SELECT DISTINCT profile FROM segments").fetchall()
        return {frozenset(self.ids(profile)) for (profile,) in rows} - {frozenset()}
