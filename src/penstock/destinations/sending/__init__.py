"""Sending: from what an action builds to what became of each payload."""

from penstock.destinations.sending.dry import perform_dry, show_dry
from penstock.destinations.sending.outcome import Exchange, Outcome, Performed
from penstock.destinations.sending.perform import check, perform
from penstock.destinations.sending.senders import Senders

__all__ = [
    "Exchange",
    "Outcome",
    "Performed",
    "Senders",
    "check",
    "perform",
    "perform_dry",
    "show_dry",
]
