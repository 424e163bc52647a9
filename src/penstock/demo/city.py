"""The city around the script: random strangers who browse, sign up, order and read e-mail.

Their number follows the scale, everything about them the seed. They carry no campaign name, and
order rarely enough to stay out of the loyal cohort and below the twelve best customers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from penstock.demo.menu import MENU, order_worth
from penstock.demo.people import Person, new_person
from penstock.demo.recorder import Mail, Recorder, Tag

VISITORS = 300
"""Visitors at scale 1."""
FOUNDERS = 12
"""Customers, at scale 1, whose orders are older than six months."""

_SPAN = 181
_ORDER_GAP = timedelta(days=16)
_MOST_ORDERS = 5
_TAGS = (
    Tag("cpc", "google"),
    Tag("referral", "toastnation"),
    Tag("email", "customer.io"),
    Tag("organic-social", "twitter"),
)
_REFERRERS = ("", "", "https://www.google.com/", "https://duckduckgo.com/", "https://t.co/")
_NEWSLETTER = Mail("weekly-crumbs", "Weekly Crumbs", "This week's crumbs")


def play_city(rng: Random, recorder: Recorder, scale: float) -> None:
    """Send the traffic of round(scale * VISITORS) strangers."""
    for _ in range(max(1, round(VISITORS * scale))):
        _play_stranger(rng, recorder)
    for _ in range(max(1, round(FOUNDERS * scale))):
        who = new_person(rng)
        at = recorder.midnight - timedelta(days=rng.uniform(188, 230))
        recorder.sign_up(at - timedelta(hours=1), who)
        recorder.order(at, who, order_worth(rng, rng.randrange(700, 5000), recorder.order_id()))


def _play_stranger(rng: Random, recorder: Recorder) -> None:
    who = new_person(rng)
    joins = rng.random() < 0.45
    buyer = joins and rng.random() < 0.7
    at = recorder.midnight - timedelta(days=rng.uniform(1, _SPAN))
    last_order: datetime | None = None
    orders = 0
    for visit in range(rng.choice((1, 1, 2, 2, 3, 5))):
        known = joins and visit > 0
        end = _browse(rng, recorder, who, at, known=known)
        if end is None:
            return
        if joins and visit == 0:
            recorder.sign_up(end, who)
            _send_newsletter(rng, recorder, who, end)
        rested = last_order is None or end - last_order > _ORDER_GAP
        if buyer and rested and orders < _MOST_ORDERS:
            orders += 1
            last_order = _check_out(rng, recorder, who, end)
        at = end + timedelta(days=rng.uniform(0.5, 40))


def _browse(
    rng: Random, recorder: Recorder, who: Person, at: datetime, *, known: bool
) -> datetime | None:
    """One visit; returns when it ends, None when that would be after the as-of date."""
    if at > recorder.midnight - timedelta(hours=12):
        return None
    tag = rng.choice(_TAGS) if rng.random() < 0.2 else None
    referrer = rng.choice(_REFERRERS)
    recorder.page(at, who, "/store/", "Store", tag=tag, known=known, referrer=referrer)
    for product in rng.sample(MENU, rng.choice((0, 1, 1, 2, 3))):
        at += timedelta(seconds=rng.uniform(20, 200))
        path = f"/store/items/{product.slug}"
        recorder.page(at, who, path, product.name, known=known)
        recorder.view(at, who, product, known=known)
        if rng.random() < 0.3:
            at += timedelta(seconds=rng.uniform(5, 60))
            recorder.add_to_cart(at, who, product, known=known)
    if known and rng.random() < 0.2:
        recorder.screen(at + timedelta(minutes=3), who, "Order Tracker")
    return at + timedelta(seconds=rng.uniform(10, 120))


def _check_out(rng: Random, recorder: Recorder, who: Person, at: datetime) -> datetime:
    recorder.page(at, who, "/store/checkout", "Checkout")
    paid = at + timedelta(minutes=rng.uniform(1, 10))
    order = order_worth(rng, rng.randrange(500, 6000), recorder.order_id())
    recorder.order(paid, who, order)
    if rng.random() < 0.05:
        refunded = paid + timedelta(days=rng.uniform(1, 6))
        recorder.refund(min(refunded, recorder.midnight), who, order)
    return paid


def _send_newsletter(rng: Random, recorder: Recorder, who: Person, joined: datetime) -> None:
    at = joined + timedelta(days=rng.uniform(1, 7))
    while at < recorder.midnight - timedelta(days=3):
        recorder.mail(at, who, "Email Delivered", _NEWSLETTER)
        if rng.random() < 0.4:
            opened = at + timedelta(hours=rng.uniform(0.1, 40))
            recorder.mail(opened, who, "Email Opened", _NEWSLETTER)
        at += timedelta(days=28)
