"""The two campaigns of the ROI guide, as data: channels, costs, and what each visit leads to."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from penstock.demo.ledger import Cost
from penstock.demo.menu import split_cents
from penstock.demo.recorder import Mail, Tag

_CONTENT = ("banner", "left-side", "bottom-side")


@dataclass(frozen=True, slots=True)
class Channel:
    """What one medium brought to a campaign; revenue in cents."""

    medium: str
    sources: tuple[str, ...]
    visits: int
    views: int
    orders: int
    revenue: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign of the guide."""

    name: str
    coupon: str
    mail: Mail
    cost: Cost
    channels: tuple[Channel, ...]


_PAID, _ORGANIC = ("facebook", "twitter"), ("twitter", "facebook")

TOAST_DAY = Campaign(
    "national-toast-day",
    "TOASTDAY",
    Mail("national-toast-day", "National Toast Day", "Happy National Toast Day!"),
    Cost(person=150_000, media=100_000),
    (
        Channel("paid-social", _PAID, 91, 14, 11, 341_32),
        Channel("organic-social", _ORGANIC, 43, 14, 10, 211_46),
        Channel("display", ("adroll",), 41, 12, 6, 89_79),
        Channel("news", ("toastnation", "techcrunch"), 166, 92, 43, 510_34),
        Channel("email", ("customer.io",), 348, 303, 169, 1947_46),
    ),
)
TOAST_FRIEND = Campaign(
    "toast-your-friend",
    "TOASTFRIEND",
    Mail("toast-your-friend", "A Toast To Your Friend", "A toast to your friend"),
    Cost(person=100_000, media=200_000),
    (
        Channel("email", ("customer.io",), 520, 330, 152, 1828_47),
        Channel("push", ("appboy",), 214, 118, 49, 576_31),
        Channel("news", ("techcrunch", "toastnation"), 188, 96, 41, 505_92),
        Channel("paid-social", _PAID, 196, 84, 33, 402_18),
        Channel("organic-social", _ORGANIC, 158, 66, 27, 318_60),
        Channel("display", ("adroll",), 106, 40, 16, 193_20),
    ),
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A tagged visit the campaign brings, still without a person."""

    campaign: Campaign
    tag: Tag
    views: bool
    """Whether a product is viewed within the attribution window."""
    paid: int | None
    """Cents of the order placed within the window, if any."""


def slots(rng: Random, campaign: Campaign) -> list[Slot]:
    """Every visit of a campaign; buyers are among the viewers, revenue adds up exactly."""
    found: list[Slot] = []
    for channel in campaign.channels:
        paid = split_cents(rng, channel.revenue, channel.orders)
        for number in range(channel.visits):
            content = rng.choice(_CONTENT) if channel.medium == "display" else None
            source = channel.sources[0 if rng.random() < 0.6 else -1]
            tag = Tag(channel.medium, source, campaign.name, content)
            amount = paid[number] if number < channel.orders else None
            found.append(Slot(campaign, tag, number < channel.views, amount))
    return found
