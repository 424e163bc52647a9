"""A space in a folder, with a clock that is set, and events that come when they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from penstock.events.model import Record
from penstock.journal.contract import EVENTS, RECEIVED, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.profiles.identity.rules import IdentityRules
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.stream.definitions import Setups
from penstock.profiles.stream.outbox import PARTITION, Outbox
from penstock.profiles.stream.space import Space

START_US = 1_760_000_000_000_000
DAY_US = 86_400_000_000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


class World:
    """Journal, space and clock. ``restart`` opens all anew, as after a crash."""

    def __init__(self, folder: Path, rules: IdentityRules | None = None) -> None:
        self.folder = folder
        self.rules = rules or IdentityRules()
        self.now_us = START_US
        self.journal = SqliteJournal(folder / "journal")
        self.writer = self.journal.writer(EVENTS, 0)
        self.setups = Setups()
        self.strategies: Mapping[str, str] = {}
        self.sent = 0
        self._open()

    def _open(self) -> None:
        self.outbox = Outbox(self.journal, lambda: self.now_us)
        self.space = Space(
            "default",
            self.folder / "profiles",
            self.journal,
            self.outbox,
            self.rules,
            belongs=lambda _: True,
            clock_us=lambda: self.now_us,
        )

    def restart(self) -> None:
        self.space.file.close()
        self.outbox.close()
        self._open()
        self.space.adopt(self.setups, self.strategies)

    def close(self) -> None:
        self.space.close()
        self.outbox.close()
        self.writer.close()
        self.journal.close()

    def define(self, *setups: AudienceSetup | TraitSetup) -> None:
        self.setups = Setups(
            {one.slug: one for one in setups if isinstance(one, AudienceSetup)},
            {one.slug: one for one in setups if isinstance(one, TraitSetup)},
        )
        self.space.adopt(self.setups, self.strategies)

    def send(self, *events: dict[str, Any]) -> None:
        """Events; without a timestamp they happen now. ``ago`` in days moves them back."""
        records = []
        for event in events:
            self.sent += 1
            at_us = self.now_us - round(event.pop("ago", 0) * DAY_US)
            message = event.setdefault("messageId", f"m{self.sent}")
            event.setdefault("timestamp", _iso(at_us))
            payload = msgspec.json.encode(event)
            records.append(Record("web", message, self.now_us, payload))
        self.writer.append([NewBlock(_encode(records), len(records))])

    def drain(self) -> None:
        while self.space.step():
            pass

    def later(self, days: float) -> None:
        self.now_us += round(days * DAY_US)
        self.drain()

    def profile(self, kind: str, value: str) -> int | None:
        return self.space.graph.owner(kind, value)

    def members(self, audience: str) -> set[str]:
        """User ids of the members, or the first id of those who have none."""
        rows = self.space.file.connection.execute(
            "SELECT profile FROM members WHERE audience = ?", (audience,)
        )
        return {self.name(number) for (number,) in rows}

    def name(self, profile: int) -> str:
        ids = self.space.graph.ids_of(profile)
        users = [one.value for one in ids if one.type == "user_id"]
        return users[0] if users else ids[0].value

    def traits(self, user: str) -> dict[str, Any]:
        number = self.profile("user_id", user)
        assert number is not None
        return self.space.worker.people.get(number).standing.traits

    def told(self) -> list[dict[str, Any]]:
        """Everything that came to ``received`` so far."""
        reading = self.journal.read(RECEIVED, PARTITION, 0, 1_000_000)
        records = [record for block in reading.blocks for record in _decode(block.body)]
        return [msgspec.json.decode(record.payload) for record in records]


def track(
    user: str, name: str, properties: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {"type": "track", "event": name, "userId": user, "properties": properties or {}, **more}


def _iso(at_us: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return moment.isoformat().replace("+00:00", "Z")
