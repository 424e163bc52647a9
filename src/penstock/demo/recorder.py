"""Where the simulated people's calls become tracking-API items, and the ledger is kept.

An item has the shape a client of the real tracking API sends. It carries `timestamp` and no
`sentAt`, as an import of history does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from penstock.demo.fingerprints import Fingerprints
from penstock.demo.ledger import Ledger, Tally
from penstock.demo.menu import (
    CURRENCY,
    SITE,
    Order,
    Product,
    money,
    order_properties,
    product_properties,
)
from penstock.demo.people import Person
from penstock.errors import DemoError

_WEB = {"name": "analytics.js", "version": "next-1.70.0"}
_SERVER = {"name": "analytics-python", "version": "2.3.2"}
_MAIL = {"name": "customer.io", "version": "2.0"}
_APP = {"name": "analytics-swift", "version": "1.5.11"}


@dataclass(frozen=True, slots=True)
class Tag:
    """The UTM parameters of a link."""

    medium: str
    source: str
    name: str | None = None
    content: str | None = None

    @property
    def campaign(self) -> dict[str, str]:
        """As `context.campaign` carries them."""
        given = {
            "name": self.name,
            "medium": self.medium,
            "source": self.source,
            "content": self.content,
        }
        return {key: value for key, value in given.items() if value is not None}

    @property
    def search(self) -> str:
        """As the query string of a link."""
        names = {"name": "campaign"}
        return "?" + "&".join(
            f"utm_{names.get(key, key)}={value}" for key, value in self.campaign.items()
        )


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail campaign."""

    campaign_id: str
    campaign_name: str
    subject: str


class Recorder:
    """Collects the items and writes the ledger; the only mutable thing in the simulation."""

    def __init__(self, run: str, as_of: date) -> None:
        self.midnight = datetime.combine(as_of, time(), UTC)
        """Start of the as-of day: nothing happens later."""
        self.tally = Tally(as_of)
        self._run = run
        self._events: list[dict[str, Any]] = []
        self._prints = Fingerprints()
        self._order_ids = 0

    def order_id(self) -> str:
        """The next order's id."""
        self._order_ids += 1
        return f"TM-{self._order_ids:06d}"

    def sign_up(self, at: datetime, who: Person) -> None:
        """A person signs up: the anonymous id becomes a user."""
        own = {"email": who.email, "name": who.name, "createdAt": instant(at)}
        body = {"userId": who.user_id, "anonymousId": who.anonymous_id, "traits": own}
        self._add("identify", at, body, _browser(who))

    def page(
        self,
        at: datetime,
        who: Person,
        path: str,
        title: str,
        *,
        tag: Tag | None = None,
        known: bool = True,
        referrer: str = "",
    ) -> None:
        """A page of the site is viewed; `known` says whether the person is signed in."""
        search = tag.search if tag else ""
        shown = {
            "path": path,
            "referrer": referrer,
            "search": search,
            "title": title,
            "url": f"{SITE}{path}{search}",
        }
        context = _browser(who) | {"page": shown}
        if tag:
            context |= {"campaign": tag.campaign}
            if path.startswith("/store"):
                self.tally.store_visit(at.date(), tag.medium)
        body = {**_ids(who, known), "name": title, "properties": {"name": title, **shown}}
        self._add("page", at, body, context)

    def screen(self, at: datetime, who: Person, name: str) -> None:
        """A screen of the mobile app is viewed."""
        body = {**_ids(who, known=True), "name": name, "properties": {"name": name}}
        self._add("screen", at, body, _device(who))

    def view(self, at: datetime, who: Person, product: Product, *, known: bool = True) -> None:
        """A product is looked at."""
        properties = product_properties(product) | {
            "currency": CURRENCY,
            "value": money(product.price),
        }
        self.track(at, who, "Product Viewed", properties, _browser(who), known=known)

    def add_to_cart(
        self, at: datetime, who: Person, product: Product, *, known: bool = True, app: bool = False
    ) -> None:
        """A product is put into the cart."""
        properties = {"cart_id": f"cart-{who.anonymous_id[:8]}"} | product_properties(product)
        context = _device(who) if app else _browser(who)
        self.track(at, who, "Product Added", properties, context, known=known)

    def order(self, at: datetime, who: Person, order: Order) -> None:
        """An order is paid; the shop's server says so, with the user's id alone."""
        self._server(at, who, "Order Completed", order_properties(order))
        self.tally.order(who.user_id, who.email, at, order.total)

    def refund(self, at: datetime, who: Person, order: Order) -> None:
        """An order is paid back in full."""
        sent = order_properties(order)
        kept = {key: sent[key] for key in ("order_id", "total", "currency", "products")}
        self._server(at, who, "Order Refunded", kept)

    def assign(self, at: datetime, who: Person, experiment: Mapping[str, str]) -> None:
        """A person is assigned to a variation of an experiment."""
        self._server(at, who, "Experiment Viewed", dict(experiment))
        self.tally.arm(experiment["variation_id"])

    def mail(self, at: datetime, who: Person, what: str, mail: Mail, **more: str) -> None:
        """The e-mail tool reports `what` (such as `Email Opened`) about a mail."""
        properties = {
            "email_id": f"{mail.campaign_id}-{who.user_id}",
            "email_subject": mail.subject,
            "campaign_id": mail.campaign_id,
            "campaign_name": mail.campaign_name,
            **more,
        }
        context: dict[str, Any] = {"library": _MAIL, "traits": {"email": who.email}}
        if what in ("Email Opened", "Email Link Clicked"):
            context |= {"ip": who.ip, "user_agent": who.user_agent}
        self._add("track", at, _event(what, properties) | {"userId": who.user_id}, context)

    def track(
        self,
        at: datetime,
        who: Person,
        event: str,
        properties: dict[str, Any],
        context: dict[str, Any],
        *,
        known: bool = True,
    ) -> None:
        """Any track call from the person's own device."""
        self._add("track", at, _ids(who, known) | _event(event, properties), context)

    def close(self) -> tuple[list[dict[str, Any]], Ledger]:
        """The items by time, and the finished ledger."""
        events = sorted(self._events, key=lambda item: (item["timestamp"], item["messageId"]))
        return events, self.tally.close(self._prints.close())

    def _server(self, at: datetime, who: Person, event: str, properties: dict[str, Any]) -> None:
        body = _event(event, properties) | {"userId": who.user_id}
        self._add("track", at, body, {"library": _SERVER})

    def _add(self, kind: str, at: datetime, body: dict[str, Any], context: dict[str, Any]) -> None:
        if at > self.midnight:
            raise DemoError(f"the simulator made a {kind} call after the as-of date: {at}")
        event = {
            "type": kind,
            "messageId": f"{self._run}-{len(self._events):07d}",
            **body,
            "context": context,
            "timestamp": instant(at),
        }
        self._events.append(event)
        self._prints.add(event)


def instant(at: datetime) -> str:
    """ISO-8601 with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(event: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"event": event, "properties": properties}


def _ids(who: Person, known: bool) -> dict[str, Any]:
    own = {"userId": who.user_id} if known else {}
    return {**own, "anonymousId": who.anonymous_id}


def _browser(who: Person) -> dict[str, Any]:
    return {
        "library": _WEB,
        "userAgent": who.user_agent,
        "ip": who.ip,
        "locale": who.locale,
        "timezone": who.timezone,
    }


def _device(who: Person) -> dict[str, Any]:
    return {
        "library": _APP,
        "app": {"name": "Toastmates", "version": "3.2.0", "build": "320"},
        "os": {"name": "iOS", "version": "17.5"},
        "ip": who.ip,
        "locale": who.locale,
        "timezone": who.timezone,
    }
