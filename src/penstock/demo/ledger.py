"""The simulator's own account of what it sent, written down while it sends.

The warehouse is checked against this account; nothing here is computed with SQL. Amounts are
integer cents, instants aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the campaign or channel table."""

    visits: int = 0
    """People with a tagged visit to the store (one tagged visit each)."""
    views: int = 0
    """Of those, people who viewed a product within 30 days of the visit."""
    orders: int = 0
    """Orders they completed within 30 days of the visit."""
    revenue: int = 0
    """Cents those orders brought."""

    def plus(self, other: Figures) -> Figures:
        """Both added up."""
        return Figures(
            self.visits + other.visits,
            self.views + other.views,
            self.orders + other.orders,
            self.revenue + other.revenue,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a campaign cost."""

    person: int
    media: int

    @property
    def total(self) -> int:
        """Person hours and media together."""
        return self.person + self.media


@dataclass(frozen=True, slots=True)
class Step:
    """How many people reached a step of a funnel, in order."""

    name: str
    users: int


@dataclass(frozen=True, slots=True)
class Customer:
    """A buyer's orders in the six months before the as-of date."""

    email: str
    orders: int
    first: date
    last: date
    total: int

    def plus(self, day: date, total: int) -> Customer:
        """With one more order."""
        return Customer(
            self.email,
            self.orders + 1,
            min(self.first, day),
            max(self.last, day),
            self.total + total,
        )


@dataclass(frozen=True, slots=True)
class ColumnFigures:
    """What one column of a table must hold."""

    kind: str
    """`text`, `number` or `instant`: how the checksum is built (see `fingerprints.py`)."""
    values: int
    """Rows in which the column is not null."""
    checksum: int


@dataclass(frozen=True, slots=True)
class TableFigures:
    """What one warehouse table must hold."""

    rows: int
    columns: Mapping[str, ColumnFigures]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything the warehouse must say about a simulation."""

    as_of: date
    campaigns: Mapping[str, Figures]
    channels: Mapping[str, Mapping[str, Figures]]
    """By campaign, then medium."""
    costs: Mapping[str, Cost]
    funnels: Mapping[str, tuple[Step, ...]]
    """`control` and `emailed`."""
    arms: Mapping[str, int]
    """People assigned to each variation of the coupon experiment."""
    customers: Mapping[str, Customer]
    """Every buyer of the last six months, by user id."""
    best_customers: tuple[str, ...]
    """User ids of the twelve customers of the lifetime-value sheet, in the sheet's order."""
    visits_by_medium: Mapping[tuple[date, str], int]
    """Tagged store visits by day and medium, with or without a campaign name."""
    orders: int
    """All orders, older ones too."""
    revenue: int
    """Cents of all orders, refunds not taken off."""
    tables: Mapping[str, TableFigures]
    """By name of the warehouse table."""


def months_before(day: date, months: int) -> date:
    """The same day `months` earlier, or that month's last day, as SQL's date arithmetic does."""
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    after = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = after.toordinal() - date(year, month + 1, 1).toordinal()
    return date(year, month + 1, min(day.day, last))


class Tally:
    """The ledger while it is being written."""

    def __init__(self, as_of: date) -> None:
        self._as_of = as_of
        self._since = datetime.combine(months_before(as_of, 6), time(), UTC)
        self._channels: dict[str, dict[str, Figures]] = {}
        self._costs: dict[str, Cost] = {}
        self._funnels: dict[str, dict[str, int]] = {}
        self._arms: dict[str, int] = {}
        self._customers: dict[str, Customer] = {}
        self._best: list[str] = []
        self._visits: dict[tuple[date, str], int] = {}
        self._orders = 0
        self._revenue = 0

    def campaign(self, name: str, medium: str, figures: Figures) -> None:
        """Add what one person did because of a campaign."""
        channels = self._channels.setdefault(name, {})
        channels[medium] = channels.get(medium, Figures()).plus(figures)

    def cost(self, campaign: str, cost: Cost) -> None:
        """Note what a campaign cost."""
        self._costs[campaign] = cost

    def arm(self, variation: str) -> None:
        """Note a person assigned to a variation of the coupon experiment."""
        self._arms[variation] = self._arms.get(variation, 0) + 1

    def funnel(self, name: str, steps: tuple[str, ...]) -> None:
        """Note a person who took these first steps of a funnel in order."""
        counts = self._funnels.setdefault(name, {})
        for step in steps:
            counts[step] = counts.get(step, 0) + 1

    def best_customer(self, user_id: str) -> None:
        """Note the next customer of the lifetime-value sheet."""
        self._best.append(user_id)

    def store_visit(self, day: date, medium: str) -> None:
        """Note a tagged visit to the store."""
        self._visits[day, medium] = self._visits.get((day, medium), 0) + 1

    def order(self, user_id: str, email: str, at: datetime, total: int) -> None:
        """Note a completed order."""
        self._orders += 1
        self._revenue += total
        if at > self._since:
            day = at.date()
            known = self._customers.get(user_id, Customer(email, 0, day, day, 0))
            self._customers[user_id] = known.plus(day, total)

    def close(self, tables: Mapping[str, TableFigures]) -> Ledger:
        """The finished ledger."""
        campaigns: dict[str, Figures] = {}
        for name, channels in self._channels.items():
            campaigns[name] = Figures()
            for figures in channels.values():
                campaigns[name] = campaigns[name].plus(figures)
        return Ledger(
            as_of=self._as_of,
            campaigns=campaigns,
            channels=self._channels,
            costs=self._costs,
            funnels={
                name: tuple(Step(step, users) for step, users in counts.items())
                for name, counts in self._funnels.items()
            },
            arms=self._arms,
            customers=self._customers,
            best_customers=tuple(self._best),
            visits_by_medium=self._visits,
            orders=self._orders,
            revenue=self._revenue,
            tables=tables,
        )
