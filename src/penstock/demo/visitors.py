"""The people the two campaigns brought: a fixed script, whatever the seed and the scale.

Around what the campaigns brought, the same people do things a careless query counts too: they
order before their visit and again after the attribution window, view several products, come back
without a tag, read tagged pages outside the store, and see the other campaign later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random

from penstock.demo.campaigns import TOAST_DAY, TOAST_FRIEND, Slot, slots
from penstock.demo.ledger import Figures
from penstock.demo.menu import MENU, SITE, order_worth
from penstock.demo.people import Person, new_person
from penstock.demo.recorder import Recorder

TIMELINE_USER = "46X8VF96G6"
"""The user of the guide's timeline, a toast-day buyer who came by e-mail."""
TOAST_DAY_AGO = timedelta(days=60)
"""The toast day lies this long before the as-of date."""

_DISCOUNT = 500
_RETURN_EVERY = 33
"""One in so many visits of the second campaign is by a person who saw the first."""


@dataclass(frozen=True, slots=True)
class _Guest:
    """A person of the guide's Result 1; `view` and `order` are seconds after the visit."""

    user_id: str
    campaign: str
    medium: str
    day: int
    """Relative to the toast day."""
    clock: time
    view: int | None = None
    order: int | None = None


_GUESTS = (
    _Guest("6KvVN5Mh9G", TOAST_DAY.name, "paid-social", 0, time(21, 57, 41), 140),
    _Guest("IpOlWKnTOB", TOAST_DAY.name, "display", 0, time(1, 46, 7)),
    _Guest("R4its9KVLx", TOAST_DAY.name, "news", 0, time(16, 28, 53), 151, 818),
    _Guest("8RHuQwJwpN", TOAST_FRIEND.name, "email", -5, time(22, 50, 18), 323),
)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A slot with a person and a time."""

    slot: Slot
    who: Person
    at: datetime


def play_campaigns(rng: Random, recorder: Recorder) -> None:
    """Send everything both campaigns brought, and note it in the ledger."""
    toast_day = recorder.midnight - TOAST_DAY_AGO
    free = slots(rng, TOAST_DAY) + slots(rng, TOAST_FRIEND)
    _play_timeline_user(rng, recorder, _take(free, TOAST_DAY.name, "email", True, True), toast_day)
    for guest in _GUESTS:
        _play_guest(rng, recorder, guest, free, toast_day)
    first = [
        _Visit(slot, new_person(rng), _toast_day_visit(rng, toast_day))
        for slot in free
        if slot.campaign is TOAST_DAY
    ]
    returning = first[::16]
    for visit in first:
        _play_stranger(rng, recorder, visit, returns=visit in returning)
    for number, slot in enumerate(slot for slot in free if slot.campaign is TOAST_FRIEND):
        if number % _RETURN_EVERY == 0 and returning:
            earlier = returning.pop()
            at = earlier.at + timedelta(days=31, seconds=rng.randrange(2 * 86400))
            _play_visit(rng, recorder, _Visit(slot, earlier.who, at))
        else:
            ago = timedelta(days=rng.uniform(45, 150))
            _play_stranger(
                rng, recorder, _Visit(slot, new_person(rng), recorder.midnight - ago), returns=False
            )
    for cost in (TOAST_DAY, TOAST_FRIEND):
        recorder.tally.cost(cost.name, cost.cost)
    _play_readers(rng, recorder, toast_day)


def _take(free: list[Slot], campaign: str, medium: str, views: bool, buys: bool) -> Slot:
    """Remove and return the first free slot with this outcome."""
    wanted = (campaign, medium, views, buys)
    slot = next(
        slot
        for slot in free
        if (slot.campaign.name, slot.tag.medium, slot.views, slot.paid is not None) == wanted
    )
    free.remove(slot)
    return slot


def _toast_day_visit(rng: Random, toast_day: datetime) -> datetime:
    day = rng.choice((-2, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1))
    return toast_day + timedelta(days=day, seconds=rng.randrange(6 * 3600, 23 * 3600))


def _play_stranger(rng: Random, recorder: Recorder, visit: _Visit, *, returns: bool) -> None:
    """A person's whole story; one who `returns` for the other campaign orders nothing late."""
    who, at = visit.who, visit.at
    early = at - timedelta(days=rng.uniform(2, 15))
    _sign_up(rng, recorder, who, early)
    if rng.random() < 0.12:
        _order(rng, recorder, who, early, rng.randrange(600, 3000))
    if rng.random() < 0.05:
        before = at - timedelta(hours=rng.uniform(1, 40))
        recorder.page(before, who, "/blog/toast", "The Toast Blog", tag=visit.slot.tag)
    _play_visit(rng, recorder, visit)
    if rng.random() < 0.2:
        later = at + timedelta(days=rng.uniform(1, 20))
        recorder.page(later, who, "/store/", "Store")
    if not returns and rng.random() < 0.1:
        late = at + timedelta(days=rng.uniform(31, 38))
        _order(rng, recorder, who, late, rng.randrange(600, 3000))


def _play_visit(rng: Random, recorder: Recorder, visit: _Visit) -> None:
    """The tagged visit and everything the campaign is credited with."""
    slot, who, at = visit.slot, visit.who, visit.at
    _land(recorder, slot, who, at)
    for _ in range(rng.choice((1, 1, 2, 3)) if slot.views else 0):
        at += timedelta(seconds=rng.uniform(30, 240))
        recorder.view(at, who, rng.choice(MENU))
    if slot.paid is not None:
        at += timedelta(seconds=rng.uniform(60, 600))
        recorder.add_to_cart(at, who, rng.choice(MENU))
        later = rng.uniform(1, 25) if rng.random() < 0.3 else rng.uniform(0.003, 0.03)
        _pay(rng, recorder, slot, who, at + timedelta(days=later))
    _note(recorder, slot)


def _play_guest(
    rng: Random, recorder: Recorder, guest: _Guest, free: list[Slot], toast_day: datetime
) -> None:
    views, buys = guest.view is not None, guest.order is not None
    slot = _take(free, guest.campaign, guest.medium, views, buys)
    who = new_person(rng, user_id=guest.user_id)
    at = datetime.combine(toast_day + timedelta(days=guest.day), guest.clock, toast_day.tzinfo)
    _sign_up(rng, recorder, who, at - timedelta(days=3))
    _land(recorder, slot, who, at)
    if guest.view is not None:
        recorder.view(at + timedelta(seconds=guest.view), who, MENU[0])
    if guest.order is not None:
        _pay(rng, recorder, slot, who, at + timedelta(seconds=guest.order))
    _note(recorder, slot)


def _play_timeline_user(rng: Random, recorder: Recorder, slot: Slot, toast_day: datetime) -> None:
    """The guide's timeline to the second; one page is viewed before signing in."""
    who = new_person(rng, user_id=TIMELINE_USER)
    day = toast_day - timedelta(days=3)

    def at(minute: int, second: int) -> datetime:
        return day + timedelta(hours=4, minutes=minute, seconds=second)

    _sign_up(rng, recorder, who, day - timedelta(days=4))
    _land(recorder, slot, who, at(7, 2))
    recorder.page(at(12, 43), who, "/store/items/natoma", "The Natoma", known=False)
    recorder.view(at(12, 43), who, MENU[0])
    recorder.add_to_cart(at(13, 12), who, MENU[0])
    recorder.add_to_cart(at(16, 25), who, MENU[1])
    recorder.page(at(19, 52), who, "/store/checkout", "Checkout")
    _pay(rng, recorder, slot, who, at(23, 9))
    _note(recorder, slot)


def _play_readers(rng: Random, recorder: Recorder, toast_day: datetime) -> None:
    """Strangers follow tagged links to pages outside the store: no store visits."""
    tags = [slot.tag for campaign in (TOAST_DAY, TOAST_FRIEND) for slot in slots(rng, campaign)]
    for _ in range(60):
        at = _toast_day_visit(rng, toast_day)
        who, tag = new_person(rng), rng.choice(tags)
        recorder.page(at, who, "/blog/toast", "The Toast Blog", tag=tag, known=False)


def _sign_up(rng: Random, recorder: Recorder, who: Person, before: datetime) -> None:
    at = before - timedelta(days=rng.uniform(0.1, 5))
    recorder.sign_up(at, who)


def _land(recorder: Recorder, slot: Slot, who: Person, at: datetime) -> None:
    if slot.tag.medium == "email":
        url = f"{SITE}/store/{slot.tag.search}"
        clicked = at - timedelta(seconds=1)
        recorder.mail(
            clicked, who, "Email Link Clicked", slot.campaign.mail, link_id="store", link_url=url
        )
    recorder.page(at, who, "/store/", "Store", tag=slot.tag)


def _pay(rng: Random, recorder: Recorder, slot: Slot, who: Person, at: datetime) -> None:
    assert slot.paid is not None
    order = order_worth(
        rng, slot.paid, recorder.order_id(), coupon=slot.campaign.coupon, discount=_DISCOUNT
    )
    recorder.order(at, who, order)


def _order(rng: Random, recorder: Recorder, who: Person, at: datetime, total: int) -> None:
    """An order no campaign is credited with, and the product view before it."""
    recorder.view(at - timedelta(minutes=rng.uniform(3, 20)), who, rng.choice(MENU))
    recorder.order(at, who, order_worth(rng, total, recorder.order_id()))


def _note(recorder: Recorder, slot: Slot) -> None:
    paid = slot.paid
    figures = Figures(1, int(slot.views), int(paid is not None), paid or 0)
    recorder.tally.campaign(slot.campaign.name, slot.tag.medium, figures)
