"""The twelve best customers of the lifetime-value guide: a fixed script.

Frequency, days since the last and the first order, and the average order are those of the guide's
spreadsheet (whose averages are whole cents, so a whole number of cents in orders gives them
exactly). No one else in the simulation orders more than five times, so these twelve lead the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from penstock.demo.menu import MENU, order_worth, split_cents
from penstock.demo.people import new_person
from penstock.demo.recorder import Recorder


@dataclass(frozen=True, slots=True)
class _Regular:
    """A row of the guide's sheet; days are before the as-of date, `average` is cents."""

    email: str
    name: str
    orders: int
    last: int
    first: int
    average: int


_REGULARS = (
    _Regular("beastlee@gmail.com", "Lee Beast", 21, 1, 147, 33_82),
    _Regular("lisa.d@uninix.com", "Lisa Dunn", 16, 2, 129, 15_24),
    _Regular("sherri@uberise.com", "Sherri Ubel", 13, 11, 170, 26_48),
    _Regular("erin@comist.com", "Erin Comis", 10, 21, 142, 47_63),
    _Regular("ramona@susose.io", "Ramona Suso", 7, 49, 177, 23_61),
    _Regular("eva@calcise.co", "Eva Calci", 7, 18, 146, 26_10),
    _Regular("dinnernugget@gmail.com", "Dinah Nugget", 7, 84, 180, 16_53),
    _Regular("sheila.soto@twimbo.com", "Sheila Soto", 7, 4, 169, 15_45),
    _Regular("carolyn.g@supraijo.com", "Carolyn Gray", 6, 154, 171, 36_16),
    _Regular("horace@conible.co.uk", "Horace Conner", 6, 70, 167, 19_16),
    _Regular("erin@wilderson.com", "Erin Wilder", 6, 44, 150, 21_79),
    _Regular("b@yakimbee.io", "Bea Yakim", 6, 4, 149, 39_46),
)
_QUIET_DAYS = 32
"""Of a regular's orders only the last may be more recent: the loyal cohort of the last 30 days
belongs to the coupon experiment alone."""


def play_customers(rng: Random, recorder: Recorder) -> None:
    """Send the orders of the twelve."""
    for regular in _REGULARS:
        _play_regular(rng, recorder, regular)


def _play_regular(rng: Random, recorder: Recorder, regular: _Regular) -> None:
    who = new_person(rng, name=regular.name, email=regular.email)
    recorder.tally.best_customer(who.user_id)
    earliest = recorder.midnight - timedelta(days=regular.first)
    recorder.sign_up(earliest, who)
    between = range(max(regular.last, _QUIET_DAYS), regular.first + 1)
    days = [regular.last, regular.first]
    days += [rng.choice(between) for _ in range(regular.orders - 2)]
    totals = split_cents(rng, regular.orders * regular.average, regular.orders)
    shared = recorder.order_id()
    for number, (day, total) in enumerate(zip(sorted(days, reverse=True), totals, strict=True)):
        at = recorder.midnight - timedelta(days=day, seconds=-rng.randrange(9 * 3600, 21 * 3600))
        recorder.page(at - timedelta(minutes=9), who, "/store/", "Store")
        recorder.view(at - timedelta(minutes=7), who, rng.choice(MENU))
        # A split payment: two orders of one checkout, which counting checkouts misses.
        checkout = f"chk-{shared}" if number in (1, 2) else None
        order = order_worth(rng, total, recorder.order_id(), checkout_id=checkout)
        recorder.order(at, who, order)
