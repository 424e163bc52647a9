"""The dynamic coupon programme: a randomised experiment of the last 30 days, as a fixed script.

Everyone in it is a loyal customer (three orders within 30 days, one of them worth over $20), and
nobody else is. The third order assigns a person to `coupon` (an e-mail with a $5 code) or to
`control` (no e-mail). Around the people the ordered funnels count, others take the same steps in
another order, or without opening the mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from penstock.demo.menu import MENU, order_worth
from penstock.demo.people import Person, new_person
from penstock.demo.recorder import Mail, Recorder

EXPERIMENT = "coupon-loyalty"
"""`experiment_id` of the assignments, and `campaign_id` of the e-mail."""
LANDING = "Main Landing Screen"
CONTROL_STEPS = (LANDING, "Product Added", "Order Completed")
EMAILED_STEPS = ("Email Delivered", "Email Opened", *CONTROL_STEPS)

_CONTROL_ARM = 742
_CONTROL_REACH = (233, 98, 66)
_EMAILED_REACH = (758, 560, 168, 134, 95)
_COUPON = ("WELOAFYOU", 500)
_LOAF = Mail(EXPERIMENT, "Coupon Loyalty Experiment", "We Loaf You!")
_WEEKLY = Mail("weekly-crumbs", "Weekly Crumbs", "This week's crumbs")


@dataclass(frozen=True, slots=True)
class _Path:
    """What one person does: the first `steps` of the funnel in order, or `astray`."""

    steps: int
    astray: bool


def play_coupon_programme(rng: Random, recorder: Recorder) -> None:
    """Send both arms of the experiment, and note the funnels in the ledger."""
    for path in _paths(0, (_CONTROL_ARM, *_CONTROL_REACH)):
        who, at = _become_loyal(rng, recorder, "control")
        recorder.tally.funnel("control", CONTROL_STEPS[: path.steps])
        if rng.random() < 0.1:
            recorder.mail(at + timedelta(hours=3), who, "Email Delivered", _WEEKLY)
        at += timedelta(days=rng.uniform(0.2, 3))
        _shop(rng, recorder, who, at, path, coupon=False)
    for path in _paths(1, _EMAILED_REACH):
        who, at = _become_loyal(rng, recorder, "coupon")
        recorder.tally.funnel("emailed", EMAILED_STEPS[: path.steps])
        _play_emailed(rng, recorder, who, at, path)


def _paths(least: int, reach: tuple[int, ...]) -> Iterator[_Path]:
    """One path per person so that `reach` people get to each step; every seventh strays."""
    following = (*reach[1:], 0)
    number = 0
    for steps, (here, after) in enumerate(zip(reach, following, strict=True), start=least):
        for _ in range(here - after):
            number += 1
            yield _Path(steps, astray=number % 7 == 0)


def _play_emailed(rng: Random, recorder: Recorder, who: Person, at: datetime, path: _Path) -> None:
    delivered = at + timedelta(minutes=5)
    recorder.mail(delivered, who, "Email Delivered", _LOAF)
    opened = delivered + timedelta(days=rng.uniform(0.1, 2))
    if path.steps == 1:
        if path.astray:  # shops without ever opening the mail
            _shop(rng, recorder, who, opened, _Path(3, astray=False), coupon=False)
        return
    if path.steps == 2 and path.astray:  # shops first, opens afterwards
        _shop(rng, recorder, who, delivered, _Path(3, astray=False), coupon=False)
        opened += timedelta(days=2)
    recorder.mail(opened, who, "Email Opened", _LOAF)
    if rng.random() < 0.2:
        recorder.mail(opened + timedelta(hours=1), who, "Email Opened", _LOAF)
    if path.steps > 2:
        shop = _Path(path.steps - 2, path.astray)
        _shop(rng, recorder, who, opened + timedelta(minutes=2), shop, coupon=True)


def _shop(
    rng: Random, recorder: Recorder, who: Person, at: datetime, path: _Path, *, coupon: bool
) -> None:
    """Landing screen, cart, order: up to `path.steps`; a stray step comes too early to count."""
    code, discount = _COUPON if coupon else (None, 0)

    def pay(when: datetime) -> None:
        total = rng.randrange(900, 3600)
        order = order_worth(rng, total, recorder.order_id(), coupon=code, discount=discount)
        recorder.order(when, who, order)

    if path.astray and path.steps == 1:  # the cart is filled before landing
        recorder.add_to_cart(at - timedelta(minutes=30), who, rng.choice(MENU), app=True)
    if path.steps >= 1:
        recorder.screen(at, who, LANDING)
        at += timedelta(minutes=rng.uniform(1, 20))
    if path.astray and path.steps == 2:  # the order comes before anything is added
        pay(at)
        at += timedelta(minutes=5)
    if path.steps >= 2:
        recorder.add_to_cart(at, who, rng.choice(MENU), app=True)
        at += timedelta(days=rng.choice((0.01, 0.02, 1.5)))
    if path.steps >= 3:
        pay(at)


def _become_loyal(rng: Random, recorder: Recorder, variation: str) -> tuple[Person, datetime]:
    """Three orders within 30 days of the as-of date; the third one assigns the variation."""
    who = new_person(rng)
    recorder.sign_up(recorder.midnight - timedelta(days=rng.uniform(30, 120)), who)
    large = rng.randrange(3)
    at = recorder.midnight
    for number, (newest, oldest) in enumerate(((25, 29), (18, 24), (9, 16))):
        at = recorder.midnight - timedelta(days=rng.uniform(newest, oldest))
        total = rng.randrange(2600, 4200) if number == large else rng.randrange(600, 1900)
        recorder.order(at, who, order_worth(rng, total, recorder.order_id()))
    at += timedelta(minutes=1)
    label = "Coupon by e-mail" if variation == "coupon" else "No e-mail"
    recorder.assign(
        at,
        who,
        {
            "experiment_id": EXPERIMENT,
            "experiment_name": "Coupon Loyalty Experiment",
            "variation_id": variation,
            "variation_name": label,
        },
    )
    return who, at
