"""Events that a definition is tried with: full ones, sparse ones and odd ones."""

from __future__ import annotations

from typing import Any

__all__ = ["EVENTS"]

Event = dict[str, Any]
_TIMES = {
    name: "2026-03-04T05:06:07.089Z"
    for name in ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
}
_CONTEXT: Event = {
    "ip": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "page": {"url": "https://toast.test/menu?x=1", "path": "/menu", "title": "Menu",
             "referrer": "https://search.test/", "search": "?x=1"},
    "device": {"id": "7a3cbba0-bdf5-11e4-8dfc-aa02a5b093db", "type": "ios", "model": "iPhone15,2",
               "advertisingId": "7A3CBBA0-BDF5-11E4-8DFC-AA02A5B093DB", "token": "ff15bc0c20c4",
               "manufacturer": "Apple", "adTrackingEnabled": True},
    "os": {"name": "iOS", "version": "17.0"},
    "app": {"name": "Toast", "version": "2.1.0", "build": "210", "namespace": "test.toast"},
    "campaign": {"name": "spring", "source": "mail", "medium": "email"},
    "location": {"city": "Oslo", "country": "NO", "latitude": 59.9, "longitude": 10.7},
    "traits": {"email": "ann@toast.test", "phone": "+14155550123"},
    "library": {"name": "penstock", "version": "1"},
}  # fmt: skip
_TRAITS: Event = {
    "email": "ann@toast.test", "phone": "+14155550123", "name": "Ann Baker", "firstName": "Ann",
    "lastName": "Baker", "createdAt": "2026-01-02T03:04:05Z", "birthday": "1990-05-06",
    "gender": "female", "age": 35, "company": {"id": "c1", "name": "Toast Ltd"}, "plan": "gold",
    "address": {"street": "1 Main St", "city": "Oslo", "state": "Oslo", "country": "NO",
                "postalCode": "0150"},
}  # fmt: skip
_ORDER: Event = {
    "order_id": "o-1", "checkout_id": "k-1", "cart_id": "b-1", "total": 30.5, "revenue": 25,
    "value": 30.5, "subtotal": 22.5, "tax": 2, "shipping": 3, "discount": 2.5, "coupon": "BUTTER",
    "currency": "EUR", "email": "ann@toast.test", "product_id": "p1", "name": "Toast", "price": 12,
    "quantity": 2, "query": "toast", "reason": "late", "list_id": "l1", "category": "food",
    "products": [
        {"product_id": "p1", "sku": "s1", "name": "Toast", "price": 12, "quantity": 2,
         "brand": "Oven", "category": "food", "variant": "thick"},
        {"product_id": "p2", "sku": "s2", "name": "Butter", "price": 6.5, "quantity": 1},
    ],
}  # fmt: skip
_TRACKS = (
    "Order Completed", "Order Refunded", "Order Cancelled", "Product Added", "Product Viewed",
    "Products Searched", "Product List Viewed", "Checkout Started", "Cart Viewed",
    "Payment Info Entered", "Product Added to Wishlist", "Signed Up", "Signed In",
    "Application Installed", "Application Opened", "Lead Generated", "Conversion Completed",
    "Promotion Viewed", "Promotion Clicked", "Product Clicked", "Product Removed", "Odd Event",
)  # fmt: skip
_ODD: Event = {
    "total": "much", "revenue": None, "products": {"not": "a list"}, "email": ["a", "b"],
    "name": "", "price": -1, "quantity": 1e300, "currency": 5, "text": "\ud7ff\U0001f35e\u0000",
    "nested": {"a": [{"b": [None, True, {}]}]}, "query": "x" * 3000,
}  # fmt: skip


def _made() -> list[Event]:
    bodies: list[Event] = [{"type": "track", "event": name, "properties": _ORDER}
                           for name in _TRACKS]  # fmt: skip
    bodies += [
        {"type": "identify", "traits": _TRAITS},
        {"type": "page", "name": "Menu", "properties": {**_CONTEXT["page"], "category": "Food"}},
        {"type": "screen", "name": "Menu", "properties": {"category": "Food"}},
        {"type": "group", "groupId": "c1", "traits": {"name": "Toast Ltd", "employees": 7}},
        {"type": "alias", "previousId": "a1"},
    ]
    personas = {"computation_class": "audience", "computation_key": "vip"}
    for entered in (True, False):
        name = "Audience Entered" if entered else "Audience Exited"
        told = {"audience_key": "vip", "vip": entered}
        bodies.append({"type": "track", "event": name, "properties": told,
                       "context": {**_CONTEXT, "personas": personas}})  # fmt: skip
    sparse = [{key: value for key, value in body.items() if key in ("type", "event", "groupId",
              "previousId")} for body in bodies]  # fmt: skip
    odd = [{**body, "properties": _ODD, "traits": _ODD, "context": {"device": "?", "page": 7}}
           for body in bodies]  # fmt: skip
    full = [{"context": _CONTEXT, **body} for body in bodies]
    return [
        {"messageId": f"m{number}", "userId": "u1", "anonymousId": "a1", **_TIMES, **body}
        for number, body in enumerate([*full, *sparse, *odd])
    ]


EVENTS: tuple[Event, ...] = tuple(_made())
