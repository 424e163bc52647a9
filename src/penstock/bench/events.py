"""Events as a web shop sends them, about 870 bytes each, made quickly."""

from __future__ import annotations

import json
from typing import Any

from penstock.events.model import Record

__all__ = ["batch_body", "event", "records", "single_body", "templates"]

_AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
_ID = "@@message@@"
_WHEN = "2026-03-01T10:00:00.123Z"


def event(kind: int, tables: int) -> dict[str, Any]:
    """One event of ``tables`` kinds; its messageId is a placeholder to fill in."""
    number = kind % tables
    properties: dict[str, Any] = {
        "product_id": f"p-{kind % 997}",
        "sku": f"SKU-{kind % 997:05d}",
        "category": "toast",
        "name": f"Cinnamon Toast {kind % 31}",
        "brand": "Toastmates",
        "price": round(3 + kind % 17 + 0.49, 2),
        "quantity": 1 + kind % 4,
        "currency": "USD",
        "position": kind % 12,
        "coupon": "WELOAFYOU",
        f"detail_{number % 7}": kind,
        "gift": kind % 2 == 0,
    }
    return {
        "type": "track",
        "messageId": _ID,
        "anonymousId": f"8b6e{kind % 5003:08d}-4d2c-4f1e-9a52-1f2e3d4c5b6a",
        "userId": f"user-{kind % 2003}",
        "event": f"Product Viewed {number}" if number else "Product Viewed",
        "timestamp": _WHEN,
        "properties": properties,
        "context": {
            "page": {
                "path": "/store/items/cinnamon",
                "referrer": "https://search.example/",
                "search": "?utm_source=customer.io",
                "title": "Cinnamon toast",
                "url": "https://toastmates.com/store/items/cinnamon",
            },
            "campaign": {"name": "national-toast-day", "source": "customer.io", "medium": "email"},
            "library": {"name": "analytics.js", "version": "npm:next-1.84.1"},
            "userAgent": _AGENT,
            "locale": "en-US",
        },
    }


def templates(tables: int, count: int = 1_000) -> list[tuple[bytes, bytes]]:
    """Events as JSON, cut where the messageId belongs."""
    made = []
    for kind in range(max(count, tables)):
        text = json.dumps(event(kind, tables), separators=(",", ":")).encode()
        head, _, tail = text.partition(_ID.encode())
        made.append((head, tail))
    return made


def batch_body(cut: list[tuple[bytes, bytes]], first: int, count: int, prefix: str) -> bytes:
    """The body of a batch whose messageIds are ``prefix`` and consecutive numbers."""
    kinds = len(cut)
    items = []
    for number in range(first, first + count):
        head, tail = cut[number % kinds]
        items.append(b"%b%b-%d%b" % (head, prefix.encode(), number, tail))
    return b'{"sentAt":"%b","batch":[%b]}' % (_WHEN.encode(), b",".join(items))


def single_body(cut: list[tuple[bytes, bytes]], number: int, prefix: str) -> bytes:
    """The body of one event."""
    head, tail = cut[number % len(cut)]
    return b"%b%b-%d%b" % (head, prefix.encode(), number, tail)


def records(tables: int, first: int, count: int, source: str = "bench") -> list[Record]:
    """Accepted events as they stand in the journal."""
    cut = templates(tables)
    made = []
    stamp = b',"originalTimestamp":"%b","receivedAt":"%b"}' % (_WHEN.encode(), _WHEN.encode())
    for number in range(first, first + count):
        head, tail = cut[number % len(cut)]
        payload = b"%bm-%d%b%b" % (head, number, tail[:-1], stamp)
        made.append(Record(source, f"m-{number}", 1_770_000_000_000_000 + number, payload))
    return made
