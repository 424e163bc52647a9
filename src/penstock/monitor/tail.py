"""What arrives, as it arrives, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from penstock.errors import JournalError
from penstock.events.model import ABSENT, Record, RejectedRecord
from penstock.events.validation import heal_surrogates
from penstock.journal.contract import RECEIVED, REJECTED, Journal
from penstock.monitor.fates import RECEIVED_FATE, AskFates, Fate, Fates, Watched
from penstock.monitor.names import name_of_refused, named

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Polled", "Tail", "TailFilter", "TailItem"]

REJECTED_FATE = "rejected"
_LOOKED_AT = 5_000
"""Newest events of a partition that a poll looks at; what came before them is skipped."""
_LONGEST = 200
Ask = Callable[[str], "pa.Table"]
_decode = msgspec.msgpack.Decoder(list[Record]).decode
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


class TailItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event, or a change of its fate: then with the same ``number`` and ``update`` true."""

    number: int
    """Of the event, within this tail."""
    update: bool
    received_at: datetime
    source: str
    """Slug, or empty when the write key is unknown."""
    event: str
    """Name of the event, ``$`` and the call, or ``$unknown``."""
    user: str | None
    """userId, else anonymousId."""
    message_id: str | None
    fate: str
    """received, duplicate, stored, filtered, loaded or rejected."""
    code: str | None = None
    """Why it was rejected."""
    note: str = ""
    """The reason, or what was left out when it was loaded."""
    deliveries: dict[str, str] = {}
    """What became of it by destination: ``delivered``, ``filtered NO_MATCHING_MAPPING``,
    ``retried 503`` and the like."""


class TailFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What to show; None is all."""

    source: str | None = None
    event: str | None = None
    """A name, or a call such as ``$identify``."""
    user: str | None = None
    """A userId or an anonymousId."""


@dataclass
class Polled:
    """What is new since the poll before."""

    items: list[TailItem] = field(default_factory=list)
    """Events in the order they were received, then changes of fate."""
    skipped: int = 0
    """Events that came and are not shown because there were too many; of those that were not even
    looked at, nobody knows whether they match the filter."""


class _Heads(msgspec.Struct, rename="camel", gc=False):
    type: Any = None
    event: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    message_id: Any = None
    integrations: Raw = ABSENT


_decode_heads = msgspec.json.Decoder(_Heads).decode


@dataclass(frozen=True)
class _Found:
    """A record that matches, and where it stands."""

    topic: str
    part: int
    position: int
    record: Record | RejectedRecord
    heads: _Heads
    event: str
    twin: bool = False


class Tail:
    """Follows the journal for as long as it is polled; no state outside it, no thread.

    The first poll shows the newest ``back`` events that match. Each poll shows at most ``most``
    new events, spread evenly over all that match, and says how many it left out. The fate of the
    last thousand that were shown is followed.
    """

    def __init__(
        self,
        journal: Journal,
        ask: Ask | None = None,
        *,
        only: TailFilter = TailFilter(),  # noqa: B008 - frozen
        back: int = 0,
        most: int = 25,
        is_routed: Callable[[Raw], bool] = lambda _: True,
        ask_fates: AskFates | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_routed`` tells from ``integrations`` whether the warehouse takes an event,
        ``ask_fates`` what became of events at destinations."""
        self._journal = journal
        self._only = only
        self._back = back
        self._most = most
        self._is_routed = is_routed
        behind = _LOOKED_AT if back else 0
        self._positions = {
            (topic, part): max(journal.end(topic, part) - behind, journal.start(topic, part))
            for topic in (RECEIVED, REJECTED)
            for part in journal.partitions(topic)
        }
        self._fates = Fates(journal, ask, clock, ask_fates=ask_fates)
        self._shown: dict[int, TailItem] = {}
        self._next = 0
        self._first = True

    def poll(self) -> Polled:
        """What is new. Costs two look-ups a partition when nothing is."""
        polled = Polled()
        found: list[_Found] = []
        for topic in (RECEIVED, REJECTED):
            for part in self._journal.partitions(topic):
                found += self._read(topic, part, polled)
        found.sort(key=lambda one: one.record.received_us)
        if self._first and self._back:
            shown = found[-self._back :]
        else:
            shown = _spread(found, self._most)
            polled.skipped += len(found) - len(shown)
        self._first = False
        polled.items += map(self._show, shown)
        read_to = {part: end for (topic, part), end in self._positions.items() if topic == RECEIVED}
        for event, fate in self._fates.changes(read_to):
            before = self._shown.get(event.number)
            if before is not None:
                item = _changed(before, fate)
                self._shown[event.number] = item
                polled.items.append(item)
        return polled

    def _read(self, topic: str, part: int, polled: Polled) -> Iterator[_Found]:
        """What came to a partition since the last poll and matches the filter."""
        place = (topic, part)
        end = self._journal.end(topic, part)
        position = min(self._positions.get(place, 0), end)
        first = max(position, end - _LOOKED_AT)
        polled.skipped += first - position
        self._positions[place] = end
        if first >= end:
            return
        try:
            blocks = self._journal.read(topic, part, first, end - first).blocks
        except JournalError:  # it is being mended
            polled.skipped += end - first
            return
        seen: set[tuple[str, str, int]] = set()
        for block in blocks:
            for number, record in enumerate(_records(topic, block.body), block.first):
                if not first <= number < end:
                    continue
                twin = False
                if isinstance(record, Record):
                    key = (record.source, record.message_id, record.received_us)
                    twin = key in seen
                    seen.add(key)
                one = self._match(topic, part, number, record, twin)
                if one is not None:
                    yield one

    def _match(
        self, topic: str, part: int, number: int, record: Record | RejectedRecord, twin: bool
    ) -> _Found | None:
        only = self._only
        if only.source is not None and record.source != only.source:
            return None
        if isinstance(record, Record):
            heads = _heads(record.payload)
            event = named(heads.type, heads.event)
        else:
            heads = _heads(record.original)
            event = name_of_refused(record.original, record.path)
        if only.event is not None and event != only.event:
            return None
        if only.user is not None and only.user not in (heads.user_id, heads.anonymous_id):
            return None
        return _Found(topic, part, number, record, heads, event, twin)

    def _show(self, found: _Found) -> TailItem:
        self._next += 1
        record, heads = found.record, found.heads
        user = heads.user_id if heads.user_id is not None else heads.anonymous_id
        rejected = isinstance(record, RejectedRecord)
        item = TailItem(
            number=self._next,
            update=False,
            received_at=datetime.fromtimestamp(record.received_us / 1_000_000, UTC),
            source=record.source,
            event=found.event,
            user=_text(user),
            message_id=_text(heads.message_id),
            fate=REJECTED_FATE if rejected else RECEIVED_FATE,
            code=record.code if isinstance(record, RejectedRecord) else None,
            note=record.reason if isinstance(record, RejectedRecord) else "",
        )
        if isinstance(record, Record):
            self._follow(item, found, record)
        return item

    def _follow(self, item: TailItem, found: _Found, record: Record) -> None:
        self._shown[item.number] = item
        self._shown.pop(item.number - self._fates.most, None)
        self._fates.watch(
            Watched(
                item.number,
                found.part,
                found.position,
                record.source,
                record.message_id,
                record.received_us,
                self._is_routed(found.heads.integrations),
                found.twin,
            )
        )


def _changed(item: TailItem, fate: Fate) -> TailItem:
    """The item with what is new of it."""
    if fate.deliveries is not None:
        return msgspec.structs.replace(item, update=True, deliveries=dict(fate.deliveries))
    return msgspec.structs.replace(item, update=True, fate=fate.name, note=fate.note)


def _records(topic: str, body: bytes) -> Sequence[Record | RejectedRecord]:
    try:
        return _decode(body) if topic == RECEIVED else _decode_rejected(body)
    except msgspec.MsgspecError:
        return []


def _heads(payload: bytes) -> _Heads:
    try:
        return _decode_heads(payload)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _decode_heads(heal_surrogates(payload))
    except (msgspec.DecodeError, RecursionError):
        return _Heads()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:_LONGEST]


def _spread(found: list[_Found], most: int) -> list[_Found]:
    """At most so many, spread evenly, always with the newest."""
    if len(found) <= most:
        return found
    return [found[(number + 1) * len(found) // most - 1] for number in range(most)]
