"""Functions on sources: what becomes of events before they are stored for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from penstock.destinations.functions.chain import Chain, FunctionState, Place, Setups
from penstock.destinations.functions.function import (
    FUNCTION_REJECTED,
    FUNCTION_STOPPED,
    FUNCTION_UNAVAILABLE,
    Outcome,
)
from penstock.destinations.model import FunctionSetup
from penstock.events.counts import HOUR_US, Counts
from penstock.events.model import Event, Record, RejectedRecord
from penstock.events.validation import Refusal, check
from penstock.process.screening import Screened

__all__ = ["SourceFunctions"]

_CODES = {
    FUNCTION_REJECTED: "function_rejected",
    FUNCTION_STOPPED: "function_stopped",
    FUNCTION_UNAVAILABLE: "function_unavailable",
}
_FIXED = ("receivedAt", "sentAt", "originalTimestamp", "projectId", "version")
"""What a function does not change: Penstock, not the sender, said it."""
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_check_types = msgspec.json.Decoder(Event).decode


class SourceFunctions:
    """Gives the events of each source to its functions, and keeps account.

    What fails is rejected, with its original, and not passed on unchanged: a function may be there
    to take out what must not be stored.
    """

    def __init__(self, setups: Setups, place: Place) -> None:
        self._setups = setups
        self._place = place
        self._chains: dict[str, Chain] = {}

    def __call__(self, records: Sequence[Record]) -> Screened | None:
        """None: no source among these has a function. Raises PenstockError: ask again later."""
        by_source: dict[str, list[int]] = {}
        if not any(setup.sources for setup in self._setups().values()):
            self.close()
            return None
        for number, record in enumerate(records):
            by_source.setdefault(record.source, []).append(number)
        outcomes: dict[int, Outcome] = {}
        for source, numbers in by_source.items():
            chain = self._chain(source)
            if chain.look():
                made = chain([records[number].payload for number in numbers])
                outcomes.update(zip(numbers, made, strict=True))
        return _screened(records, outcomes) if outcomes else None

    def _chain(self, source: str) -> Chain:
        if source not in self._chains:
            choose = partial(_of_source, source)
            self._chains[source] = Chain(f"source:{source}", self._setups, choose, self._place)
        return self._chains[source]

    def states(self) -> list[FunctionState]:
        """How each function does at each source."""
        return [state for chain in self._chains.values() for state in chain.states()]

    def close(self) -> None:
        """End the processes."""
        for chain in self._chains.values():
            chain.close()
        self._chains.clear()


def _of_source(source: str, setups: Mapping[str, FunctionSetup]) -> list[FunctionSetup]:
    return [setup for _, setup in sorted(setups.items()) if source in setup.sources]


def _screened(records: Sequence[Record], outcomes: Mapping[int, Outcome]) -> Screened:
    kept: list[Record] = []
    rejected: list[RejectedRecord] = []
    removed: Counts = Counter()
    added: Counts = Counter()
    for number, record in enumerate(records):
        outcome = outcomes.get(number)
        if outcome is None or (outcome.events is None and not outcome.code):
            kept.append(record)
            continue
        key = (record.source, record.received_us // HOUR_US)
        try:
            made = _made(record, outcome)
        except Refusal as refusal:
            rejected.append(_rejected(record, refusal.code, refusal.reason))
            made = []
        kept += made
        removed[key] += not made
        added[key] += max(len(made) - 1, 0)
    return Screened(kept, rejected, removed, added)


def _made(record: Record, outcome: Outcome) -> list[Record]:
    """The events that stand for one. Raises Refusal: none does."""
    if outcome.code:
        place = f"line {outcome.line}: " if outcome.line else ""
        code = _CODES.get(outcome.code, "function_failed")
        raise Refusal(code, f"{place}{outcome.message}" or "the function gave no reason")
    try:
        original = _decode(record.payload)
        ids: set[str] = set()
        made = []
        for event in map(_decode, outcome.events or ()):
            own = _id(event, record.message_id, ids)
            payload = _checked(event, own, original)
            made.append(Record(record.source, own, record.received_us, payload))
    except (*_UNREADABLE, Refusal) as error:
        reason = f"what the function returned is no valid event: {error}"
        raise Refusal("function_failed", reason) from error
    return made


def _id(event: dict[str, Any], original: str, taken: set[str]) -> str:
    """The first event keeps the id, so that it is known again; others have one of their own."""
    wanted = event.get("messageId")
    own = wanted if taken and isinstance(wanted, str) and wanted else original
    if own in taken:
        own = f"{original}-{len(taken)}"
    taken.add(own)
    return own


def _checked(event: dict[str, Any], own: str, original: dict[str, Any]) -> bytes:
    """The event as it is stored. Raises Refusal, or DecodeError, when it is no valid call."""
    for name in _FIXED:
        event.pop(name, None)
        if name in original:
            event[name] = original[name]
    event["messageId"] = own
    if not _is_instant(event.get("timestamp")):
        event["timestamp"] = original.get("timestamp")
    payload = _encode(event)
    call = _check_types(payload)
    check(call)
    return payload


def _is_instant(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _rejected(record: Record, code: str, reason: str) -> RejectedRecord:
    return RejectedRecord(record.source, record.received_us, code, reason, "", record.payload)
