"""What an event is: the six calls, validation, limits, timestamps, identifiers and wire form."""

from penstock.events.model import CALLS, Event, Record, RejectedRecord, Source
from penstock.events.times import parse_instant, true_time
from penstock.events.validation import INGEST_CODES, Refusal

__all__ = [
    "CALLS",
    "INGEST_CODES",
    "Event",
    "Record",
    "Refusal",
    "RejectedRecord",
    "Source",
    "parse_instant",
    "true_time",
]
