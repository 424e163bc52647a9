"""Toastmates' months of traffic: one seeded simulation, with its own account of itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from penstock.demo.city import play_city
from penstock.demo.coupon import play_coupon_programme
from penstock.demo.customers import play_customers
from penstock.demo.ledger import Ledger
from penstock.demo.people import new_person
from penstock.demo.recorder import Mail, Recorder
from penstock.demo.visitors import play_campaigns
from penstock.errors import DemoError

_SCRIPT = "toastmates"
_REPORT = Mail("daily-crumb-report", "Daily Crumb Report", "Yesterday at Toastmates")


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was simulated, ready to be sent and to be checked."""

    events: list[dict[str, Any]]
    """Tracking-API items by timestamp; the last lies at midnight (UTC) of the as-of date."""
    ledger: Ledger


def simulate(seed: int = 1, scale: float = 1.0, *, as_of: date) -> Simulation:
    """Play the script inside a random city.

    The script (campaigns, coupon programme, twelve customers) is the same for every seed and
    scale; only its dates follow `as_of`. `scale` multiplies the city's visitors. Equal arguments
    give equal events, messageIds too; other arguments give other messageIds.
    """
    if not 0 < scale <= 1000:
        raise DemoError(f"the scale must be above 0 and at most 1000, not {scale}")
    key = hashlib.sha256(f"{seed}|{scale!r}|{as_of}".encode()).hexdigest()[:12]
    recorder = Recorder(f"toastmates-{key}", as_of)
    script = Random(_SCRIPT)
    play_campaigns(script, recorder)
    play_customers(script, recorder)
    play_coupon_programme(script, recorder)
    _play_nightly_reports(script, recorder)
    play_city(Random(f"city {seed}"), recorder, scale)
    events, ledger = recorder.close()
    return Simulation(events, ledger)


def _play_nightly_reports(rng: Random, recorder: Recorder) -> None:
    """A week of mails to the toastmaster; the last one fixes the newest instant of the data."""
    who = new_person(rng, name="Toastmaster", email="thatguy@toastmates.com")
    recorder.sign_up(recorder.midnight - timedelta(days=180), who)
    for day in range(7):
        recorder.mail(recorder.midnight - timedelta(days=day), who, "Email Delivered", _REPORT)
