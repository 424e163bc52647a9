"""Who an event is of: the identity graph of a space."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from penstock.profiles.identity.cache import Owners
from penstock.profiles.identity.extract import ExternalId, Extractor
from penstock.profiles.identity.rules import IdentityRules
from penstock.profiles.observed import Observed

__all__ = ["KNOWN_TYPES", "IdentityGraph", "Merge", "Resolution"]

KNOWN_TYPES = frozenset({"user_id", "email", "android.idfa", "ios.idfa"})
"""Types that name a person, not only a browser or a device."""
_LIMIT, _CAP, _BARRED = "limit", "cap", "barred"
_BLOCKED = "blocked"


class Merge(msgspec.Struct, frozen=True, gc=False):
    """A profile that became part of another."""

    id: int
    other: int
    """The one that is no profile of its own any more."""
    segments: tuple[int, ...]
    """Those that were of it."""
    through: ExternalId
    """The id on the event by which it was found."""


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """To whom an event belongs."""

    segment: int
    """The profile that it first resolved to: its state is kept under this number for good."""
    profile: int
    created: bool = False
    attached: tuple[ExternalId, ...] = ()
    merges: tuple[Merge, ...] = ()
    dropped: tuple[tuple[ExternalId, str], ...] = ()
    """Ids that were not taken, each with ``limit``, ``cap``, ``barred`` or ``blocked``."""


class _Owned(msgspec.Struct, gc=False):
    """One id of a profile, as far as limits look at it."""

    type: str
    value: str
    attached_us: int


class IdentityGraph:
    """Resolves events, in the order in which they come, inside a transaction of the caller's.

    The rules are those of the specification: ids on the event are looked up; of several profiles
    the earliest created takes in the others (ties: the smallest number); where a limit would be
    exceeded the id that is trusted least is left out and all is decided anew. What was decided is
    in the tables at once, and can be asked for inside the same transaction.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        rules: IdentityRules,
        space: str = "default",
        capacity: int = 1_000_000,
    ) -> None:
        """``capacity``: ids of which the owner is kept in memory."""
        self.connection = connection
        self._space = space
        self._owners = Owners(connection, capacity)
        self.use(rules)
        self._reload()

    def use(self, rules: IdentityRules) -> None:
        """Resolve by these rules from now on; what was resolved before stays as it is."""
        self._rules = rules
        self._extract = Extractor(rules)

    def _reload(self) -> None:
        connection = self.connection
        self._last: int
        (self._last,) = connection.execute("SELECT coalesce(max(id), 0) FROM segments").fetchone()
        rows = connection.execute("SELECT first, second FROM barriers")
        self.barriers: list[tuple[int, int]] = rows.fetchall()
        """Segments whose profiles must not become one."""
        self._links: set[tuple[int, str]] = set()

    def flush(self) -> None:
        """Everything stands in the tables already."""

    def discard(self) -> None:
        """Forget what a transaction that was rolled back had brought."""
        self._owners.clear()
        self._reload()

    # Resolving ------------------------------------------------------------------------------

    def resolve(self, event: Observed) -> Resolution | None:
        """Whom an event is of; None when it carries no id that can be used."""
        if event.type != "group" and self._extract.is_simple(event):
            owner = self._known_owner(event.user_id, event.anonymous_id)
            if owner is not None:
                return Resolution(owner, owner)
        found = self._extract(event)
        ids = found.ids
        if event.type == "alias":
            ids = self._with_previous(event, ids)
        if not ids:
            return None
        owners = [self._owners.of(one.type, one.value) for one in ids]
        first = owners[0]
        if first is not None and all(owner == first for owner in owners):
            resolution = Resolution(first, first)
        else:
            resolution = self._decide(event, ids)
        if found.blocked:
            self._note(resolution.profile, event, [(one, _BLOCKED) for one in found.blocked])
        if event.group_id is not None and event.type == "group":
            self._link(resolution.segment, event)
        return resolution

    def _known_owner(self, user_id: str | None, anonymous_id: str | None) -> int | None:
        """The one profile that has both, or the one that is given; the common case."""
        if user_id is None:
            return None if anonymous_id is None else self._owners.of("anonymous_id", anonymous_id)
        owner = self._owners.of("user_id", user_id)
        if anonymous_id is None or owner is None:
            return owner
        return owner if self._owners.of("anonymous_id", anonymous_id) == owner else None

    def _with_previous(self, event: Observed, ids: list[ExternalId]) -> list[ExternalId]:
        """An alias joins the previous id: a user id if it is known as one, else anonymous."""
        previous = event.previous_id
        if previous is None:
            return ids
        kind = "anonymous_id"
        if (
            self._owners.of("anonymous_id", previous) is None
            and self._owners.of("user_id", previous) is not None
        ):
            kind = "user_id"
        one = ExternalId(kind, previous)
        return [*ids, one] if one not in ids else ids

    def _decide(self, event: Observed, ids: list[ExternalId]) -> Resolution:
        considered, dropped = list(ids), list[tuple[ExternalId, str]]()
        while True:
            found = self._found(considered)
            fresh = [one for one in considered if self._owners.of(one.type, one.value) is None]
            reason = self._refusal(event, list(found), fresh)
            if not reason:
                break
            dropped.append((considered.pop(), reason))
        resolution = self._settle(event, found, fresh)
        if dropped:
            self._note(resolution.profile, event, dropped)
            resolution = msgspec.structs.replace(resolution, dropped=tuple(dropped))
        return resolution

    def _found(self, ids: Iterable[ExternalId]) -> dict[int, ExternalId]:
        """The profiles that own ids, each with the first id that led to it."""
        found: dict[int, ExternalId] = {}
        for one in ids:
            owner = self._owners.of(one.type, one.value)
            if owner is not None:
                found.setdefault(owner, one)
        return found

    def _refusal(self, event: Observed, profiles: list[int], fresh: list[ExternalId]) -> str:
        """Why these can't become one with these ids added; empty when they can."""
        if len(profiles) == 1 and not fresh:
            return ""
        if len(profiles) > 1:
            if any(self._bars(one, other) for one in profiles for other in profiles if one < other):
                return _BARRED
            merges = sum(self._merges_of(profile) for profile in profiles) + len(profiles) - 1
            if merges > self._rules.merges:
                return _CAP
        return self._over_limit(event, profiles, fresh)

    def _over_limit(self, event: Observed, profiles: list[int], fresh: list[ExternalId]) -> str:
        owned = [one for profile in profiles for one in self._owned(profile)]
        owned += [_Owned(one.type, one.value, event.timestamp_us) for one in fresh]
        if len(profiles) > 1 and len(owned) > self._rules.mappings:
            return _CAP
        kinds = {one.type for one in (owned if len(profiles) > 1 else fresh)}
        for kind in kinds:
            trust = self._extract.trust(kind)
            since = -(1 << 62) if trust.period_us is None else event.timestamp_us - trust.period_us
            count = sum(1 for one in owned if one.type == kind and one.attached_us > since)
            if count > trust.limit and self._grows(profiles, kind, fresh, since):
                return _LIMIT
        return ""

    def _grows(self, profiles: list[int], kind: str, fresh: list[ExternalId], since: int) -> bool:
        """Whether one of the profiles would get values of a type that it has not."""
        if any(one.type == kind for one in fresh):
            return True
        having = [
            any(one.type == kind and one.attached_us > since for one in self._owned(profile))
            for profile in profiles
        ]
        return sum(having) > 1

    def _settle(
        self, event: Observed, found: dict[int, ExternalId], fresh: list[ExternalId]
    ) -> Resolution:
        if not found:
            number = self._create(event)
            self._attach(number, event, fresh)
            return Resolution(number, number, True, tuple(fresh))
        survivor = min(found, key=self._age)
        merges = tuple(
            self._merge(event, survivor, other, through)
            for other, through in found.items()
            if other != survivor
        )
        room = self._rules.mappings - len(self._owned(survivor)) if fresh else 0
        attached = fresh[: max(room, 0)]
        self._attach(survivor, event, attached)
        left = tuple((one, _CAP) for one in fresh[len(attached) :])
        if left:
            self._note(survivor, event, left)
        return Resolution(survivor, survivor, False, tuple(attached), merges, left)

    def _age(self, profile: int) -> tuple[int, int]:
        (created,) = self.connection.execute(
            "SELECT created_us FROM segments WHERE id = ?", (profile,)
        ).fetchone()
        return (created, profile)

    def _create(self, event: Observed) -> int:
        self._last += 1
        number = self._last
        seed = f"{self._space}\x1f{event.source}\x1f{event.message_id}".encode()
        public = "use_" + hashlib.blake2b(seed, digest_size=12).hexdigest()
        self.connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (number, public, number, event.timestamp_us, event.received_us, event.message_id,
             event.source, event.type),
        )  # fmt: skip
        return number

    def _attach(self, segment: int, event: Observed, ids: Sequence[ExternalId]) -> None:
        for one in ids:
            self.connection.execute(
                "INSERT INTO ids (type, value, original, segment, attached_us, received_us,"
                " message_id, source, event_type, event_name)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (one.type, one.value, one.original or one.value, segment, event.timestamp_us,
                 event.received_us, event.message_id, event.source, event.type, event.name),
            )  # fmt: skip
            self._owners.put(one.type, one.value, segment)

    def _merge(self, event: Observed, survivor: int, other: int, through: ExternalId) -> Merge:
        connection = self.connection
        segments = self.segments_of(other)
        for kind, value in connection.execute(
            "SELECT type, value FROM ids WHERE removed_us IS NULL AND segment IN"
            " (SELECT id FROM segments WHERE profile = ? AND profile <> id UNION ALL SELECT ?)",
            (other, other),
        ):
            self._owners.put(kind, value, survivor)
        connection.execute(
            "UPDATE segments SET merges = merges + 1 +"
            " (SELECT merges FROM segments WHERE id = ?) WHERE id = ?", (other, survivor)
        )  # fmt: skip
        connection.execute(
            "UPDATE segments SET profile = ? WHERE profile = ? AND profile <> id",
            (survivor, other),
        )
        connection.execute("UPDATE segments SET profile = ? WHERE id = ?", (survivor, other))
        (number,) = connection.execute(
            "INSERT INTO merges (loser, survivor, at_us, received_us, message_id, source,"
            " event_type, type, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (other, survivor, event.timestamp_us, event.received_us, event.message_id,
             event.source, event.type, through.type, through.value),
        ).fetchone()  # fmt: skip
        return Merge(int(number), other, segments, through)

    def _bars(self, one: int, other: int) -> bool:
        for first, second in self.barriers:
            if {self.canonical(first), self.canonical(second)} == {one, other}:
                return True
        return False

    def _merges_of(self, profile: int) -> int:
        (count,) = self.connection.execute(
            "SELECT merges FROM segments WHERE id = ?", (profile,)
        ).fetchone()
        return int(count)

    def _owned(self, profile: int) -> list[_Owned]:
        rows = self.connection.execute(
            "SELECT type, value, attached_us FROM ids WHERE removed_us IS NULL AND segment IN"
            " (SELECT id FROM segments WHERE profile = ? AND profile <> id UNION ALL SELECT ?)",
            (profile, profile),
        )
        return [_Owned(*row) for row in rows]

    def _note(
        self, segment: int, event: Observed, dropped: Iterable[tuple[ExternalId, str]]
    ) -> None:
        """Keep why an id was not taken, once for each id and reason."""
        rows = [
            (segment, one.type, one.value, reason, event.timestamp_us, event.timestamp_us,
             event.message_id)
            for one, reason in dropped
        ]  # fmt: skip
        self.connection.executemany(
            "INSERT INTO drops (segment, type, value, reason, count, first_us, last_us, message_id)"
            " VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (segment, type, value, reason)"
            " DO UPDATE SET count = count + 1, last_us = excluded.last_us",
            rows,
        )

    def _link(self, segment: int, event: Observed) -> None:
        link = (segment, event.group_id or "")
        if not link[1] or link in self._links:
            return
        self.connection.execute(
            "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
            (*link, event.timestamp_us, event.message_id),
        )
        self._links.add(link)
        if len(self._links) > 100_000:
            self._links.clear()

    # Asking ---------------------------------------------------------------------------------

    def owner(self, kind: str, value: str) -> int | None:
        """The profile that owns an id."""
        return self._owners.of(kind, value)

    def canonical(self, segment: int) -> int:
        """The profile that a segment is part of now."""
        (profile,) = self.connection.execute(
            "SELECT profile FROM segments WHERE id = ?", (segment,)
        ).fetchone()
        return int(profile)

    def segments_of(self, profile: int) -> tuple[int, ...]:
        """The profile's own segment and those merged into it, ascending."""
        rows = self.connection.execute(
            "SELECT id FROM segments WHERE profile = ? AND profile <> id", (profile,)
        )
        return tuple(sorted([profile, *(number for (number,) in rows)]))

    def ids_of(self, profile: int) -> tuple[ExternalId, ...]:
        """The ids of a profile, in the order in which they were attached."""
        rows = self.connection.execute(
            "SELECT type, value, original FROM ids WHERE removed_us IS NULL AND segment IN"
            " (SELECT id FROM segments WHERE profile = ? AND profile <> id UNION ALL SELECT ?)"
            " ORDER BY id",
            (profile, profile),
        )
        return tuple(ExternalId(*row) for row in rows)

    def ids_in(self, segments: Sequence[int]) -> tuple[ExternalId, ...]:
        """The ids that were attached to these segments, in that order."""
        marks = ",".join("?" * len(segments))
        rows = self.connection.execute(
            "SELECT type, value, original FROM ids WHERE removed_us IS NULL"
            f" AND segment IN ({marks}) ORDER BY id",
            segments,
        )
        return tuple(ExternalId(*row) for row in rows)

    def is_known(self, profile: int) -> bool:
        """Whether it has an id that names a person."""
        return any(one.type in KNOWN_TYPES for one in self._owned(profile))

    def public_id(self, segment: int) -> str:
        """The id of a segment that others see, such as ``use_0b1c...``."""
        (public,) = self.connection.execute(
            "SELECT public_id FROM segments WHERE id = ?", (segment,)
        ).fetchone()
        return str(public)
