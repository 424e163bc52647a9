"""What Toastmates sells, and orders of an exact worth. All amounts are integer cents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

SITE = "https://toastmates.com"
CURRENCY = "USD"
SMALLEST_ORDER = 400
"""No order is worth less than this many cents."""

_TAX_PERCENT = 8


@dataclass(frozen=True, slots=True)
class Product:
    """One toast on the menu."""

    slug: str
    sku: str
    name: str
    category: str
    variant: str
    price: int


MENU = (
    Product("natoma", "TM-101", "The Natoma", "Sourdough", "Avocado & chili", 850),
    Product("minna", "TM-102", "The Minna", "Sourdough", "Ricotta & honey", 775),
    Product("folsom", "TM-103", "The Folsom", "Rye", "Smoked trout", 1150),
    Product("clementina", "TM-104", "The Clementina", "Brioche", "Orange curd", 625),
    Product("tehama", "TM-105", "The Tehama", "Brioche", "Cinnamon butter", 475),
    Product("howard", "TM-106", "The Howard", "Rye", "Egg & mustard", 690),
    Product("shipley", "TM-107", "The Shipley", "Multigrain", "Almond & banana", 725),
    Product("brannan", "TM-108", "The Brannan", "Multigrain", "Mushroom & thyme", 990),
    Product("soldiers", "TM-109", "Toast Soldiers", "White", "Salted butter", 250),
)
_CHEAPEST = min(product.price for product in MENU)


@dataclass(frozen=True, slots=True)
class Order:
    """An order whose parts add up: lines - discount = subtotal; + shipping + tax = total."""

    order_id: str
    checkout_id: str
    lines: tuple[tuple[Product, int], ...]
    discount: int
    tax: int
    shipping: int
    coupon: str | None = None

    @property
    def subtotal(self) -> int:
        """Worth of the lines after the discount, before shipping and tax."""
        return sum(product.price * count for product, count in self.lines) - self.discount

    @property
    def total(self) -> int:
        """What the customer paid."""
        return self.subtotal + self.shipping + self.tax


def money(cents: int) -> int | float:
    """Dollars as JSON carries them: 12.34, and 12 rather than 12.0 (as JavaScript writes it)."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def order_worth(
    rng: Random,
    total: int,
    order_id: str,
    *,
    checkout_id: str | None = None,
    coupon: str | None = None,
    discount: int = 0,
) -> Order:
    """Fill a basket so that exactly `total` cents are paid; delivery takes up the rest."""
    room = total * 100 // (100 + _TAX_PERCENT) + discount
    counts: dict[Product, int] = {}
    while room >= _CHEAPEST:
        product = rng.choice([p for p in MENU if p.price <= room])
        counts[product] = counts.get(product, 0) + 1
        room -= product.price
    subtotal = sum(product.price * count for product, count in counts.items()) - discount
    tax = (subtotal * _TAX_PERCENT + 50) // 100
    shipping = total - subtotal - tax
    checkout = checkout_id or f"chk-{order_id}"
    return Order(order_id, checkout, tuple(counts.items()), discount, tax, shipping, coupon)


def split_cents(rng: Random, total: int, parts: int) -> list[int]:
    """Cut `total` into `parts` random amounts, each at least `SMALLEST_ORDER`, summing exactly."""
    spare = total - parts * SMALLEST_ORDER
    if spare < 0:
        raise ValueError(f"{total} cents are too few for {parts} orders")
    weights = [rng.randrange(20, 180) for _ in range(parts)]
    amounts = [SMALLEST_ORDER + spare * weight // sum(weights) for weight in weights]
    amounts[-1] += total - sum(amounts)
    return amounts


def product_properties(product: Product, quantity: int = 1) -> dict[str, Any]:
    """The product object of the e-commerce specification."""
    return {
        "product_id": f"toast-{product.slug}",
        "sku": product.sku,
        "category": product.category,
        "name": product.name,
        "brand": "Toastmates",
        "variant": product.variant,
        "price": money(product.price),
        "quantity": quantity,
        "url": f"{SITE}/store/items/{product.slug}",
        "image_url": f"{SITE}/images/{product.slug}.jpg",
    }


def order_properties(order: Order) -> dict[str, Any]:
    """Properties of `Order Completed`; `coupon` is absent when none was used."""
    coupon: Mapping[str, Any] = {"coupon": order.coupon} if order.coupon else {}
    return {
        "checkout_id": order.checkout_id,
        "order_id": order.order_id,
        "affiliation": "Toastmates",
        "subtotal": money(order.subtotal),
        "total": money(order.total),
        "revenue": money(order.subtotal),
        "shipping": money(order.shipping),
        "tax": money(order.tax),
        "discount": money(order.discount),
        **coupon,
        "currency": CURRENCY,
        "products": [product_properties(product, count) for product, count in order.lines],
    }
