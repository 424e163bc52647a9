"""How large an audience would be, before there is one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.errors import ConfigurationError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal
from penstock.profiles.identity.graph import KNOWN_TYPES
from penstock.profiles.language.definitions import AudienceSetup
from penstock.profiles.language.reading import condition_of
from penstock.profiles.observed import observe
from penstock.profiles.reading.looking import folded
from penstock.profiles.reading.people import ProfileReader
from penstock.profiles.signals.conditions import Compiled, Look, compile_condition
from penstock.profiles.signals.signal import Observer
from penstock.profiles.stream.assigned import Assigned
from penstock.profiles.stream.definitions import LIVE
from penstock.profiles.stream.profile import (
    SegmentState,
    Standing,
    decode_standing,
    decode_state,
)
from penstock.profiles.traits.custom import combine_traits, trait_values

__all__ = ["Preview", "preview"]

_CHUNK = 4_000
_LONGEST_S = 20.0
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_Filled = Mapping[int, dict[str, Any]]


class Preview(msgspec.Struct, frozen=True):
    """What a condition comes to now."""

    size: int
    sample: tuple[int, ...]
    """Numbers of the first profiles that are in."""
    people: int
    """Out of how many."""
    from_history: bool
    """Whether events were read again, as the condition asks for what nothing kept."""


class _Deadline:
    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock, self._end = clock, clock() + seconds

    def check(self) -> None:
        if self._clock() > self._end:
            raise ConfigurationError(
                "there are too many people or events to preview this in time; create the audience "
                "without destinations: it is computed in the background, then `penstock audiences "
                "show` has its size"
            )


def preview(
    reader: ProfileReader,
    journal: Journal,
    setup: AudienceSetup,
    now_us: int,
    *,
    most: int = 10,
    seconds: float = _LONGEST_S,
    clock: Callable[[], float] = time.monotonic,
) -> Preview:
    """Evaluate a condition over everybody.

    Raises ConfigurationError for a condition that can't be meant, and when it takes longer than
    ``seconds``.
    """
    if setup.level != "user":
        raise ConfigurationError("only audiences of users can be previewed")
    compiled = compile_condition(condition_of(setup.when))
    connection = reader.connection
    _check_audiences(connection, compiled)
    deadline = _Deadline(seconds, clock)
    ready = {key for (key,) in connection.execute("SELECT key FROM signals WHERE ready = 1")}
    missing = [one for one in compiled.signals if one.key not in ready]
    filled: _Filled | None = None
    if missing:
        observer = Observer(compiled.signals)
        filled = _history(connection, journal, observer, deadline) if setup.include_history else {}
    size, people, sample = 0, 0, list[int]()
    for number, known, look in _everybody(reader, compiled, filled, now_us):
        people += 1
        if people % 500 == 0:
            deadline.check()
        if (known or setup.include_anonymous) and compiled.check(look, now_us)[0]:
            size += 1
            if len(sample) < most:
                sample.append(number)
    return Preview(size, tuple(sample), people, bool(missing))


def _check_audiences(connection: sqlite3.Connection, compiled: Compiled) -> None:
    rows = connection.execute(
        "SELECT slug FROM computations WHERE kind = 'audience' AND state = ?", (LIVE,)
    )
    live = {slug for (slug,) in rows}
    for slug in sorted(compiled.audiences - live):
        raise ConfigurationError(f"there is no audience {slug} whose members are known yet")


def _everybody(
    reader: ProfileReader, compiled: Compiled, filled: _Filled | None, now_us: int
) -> Iterator[tuple[int, bool, Look]]:
    connection = reader.connection
    known = _known(connection)
    merged: dict[int, list[int]] = {}
    for segment, profile in connection.execute(
        "SELECT id, profile FROM segments WHERE profile <> id"
    ):
        merged.setdefault(profile, []).append(segment)
    for number, packed in connection.execute("SELECT profile, standing FROM standings"):
        segments = [number, *merged.get(number, ())]
        states = [_state(connection, segment) for segment in segments]
        signals = [state.signals for state in states]
        if filled is not None:
            signals = [filled.get(segment, {}) for segment in segments]
        traits = states[0].traits
        if len(states) > 1:
            traits = combine_traits([state.traits for state in states], reader.strategies)
        standing: Standing = decode_standing(packed)
        look = Look(folded(compiled, signals, now_us), trait_values(traits), standing.traits,
                    standing.audiences.keys())  # fmt: skip
        yield number, any(segment in known for segment in segments), look


def _known(connection: sqlite3.Connection) -> set[int]:
    marks = ",".join("?" * len(KNOWN_TYPES))
    rows = connection.execute(
        f"SELECT DISTINCT segment FROM ids WHERE removed_us IS NULL AND type IN ({marks})",
        sorted(KNOWN_TYPES),
    )
    return {segment for (segment,) in rows}


def _state(connection: sqlite3.Connection, segment: int) -> SegmentState:
    row = connection.execute("SELECT state FROM states WHERE segment = ?", (segment,)).fetchone()
    return decode_state(row[0]) if row else SegmentState({}, {})


def _history(
    connection: sqlite3.Connection, journal: Journal, observer: Observer, deadline: _Deadline
) -> _Filled:
    """The signals of each segment, out of the events that the stream has read."""
    filled: dict[int, dict[str, Any]] = {}
    for part, end in connection.execute("SELECT part, next FROM positions").fetchall():
        position = journal.start(EVENTS, part)
        while position < end:
            deadline.check()
            reading = journal.read(EVENTS, part, position, _CHUNK)
            if reading.next == position:
                break
            owners = Assigned(connection, part, position, min(reading.next, end))
            for block in reading.blocks:
                for place, record in enumerate(_decode_records(block.body), block.first):
                    segment = owners.at(place) if position <= place < end else 0
                    if segment:
                        event = observe(record.source, record.received_us, record.payload)
                        observer(filled.setdefault(segment, {}), event)
            position = reading.next
    return filled
