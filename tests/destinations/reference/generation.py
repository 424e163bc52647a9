"""Events of every semantic kind, complete, sparse and odd, the same for the same seed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.destinations.reference import semantic

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KINDS", "event_of", "events"]

Json = Any
Event = dict[str, Json]

KINDS = ("identify", "page", "screen", "group", "alias", *semantic.EVENTS)
"""Calls other than track, and the names of track events."""

_WORDS = ("Blue", "toast", "São Paulo", "x", "Crème brûlée", "50% off", "a/b", "№ 5", "Ann", "1")
_EMAILS = (
    "ann@toast.test",
    "Bob.Baker@Toast.Test",
    " eve@toast.test ",
    "o'neil+news@sub.toast.test",
    "not an address",
)
_PHONES = ("+14155550123", "(415) 555-0123", "0047 22 33 44 55", "+49 30 123456")
_ODD: tuple[Json, ...] = (
    None,
    "",
    " ",
    0,
    -1,
    1.5,
    12345678901,
    "12",
    "12.50",
    True,
    False,
    [],
    {},
    ["a", 1],
    {"a": {"b": None}},
    "null",
)
_DATES = ("2025-12-31", "2026-02-03T04:05:06Z", "2026-02-03T04:05:06.700+02:00", "soon")
_STAMPS = (
    "2026-03-04T05:06:07.089Z",
    "2026-03-03T23:59:59.999Z",
    "2026-01-01T00:00:00.000Z",
    "2026-02-28T12:30:00Z",
)
_AGENTS = tuple((Path(__file__).parent / "user_agents.txt").read_text().splitlines())


def events(seed: int, each: int = 3, others: int = 16) -> Iterator[Event]:
    """Some of every kind: ``each`` of a track event, ``others`` of the other calls."""
    for kind in KINDS:
        for number in range(each if kind in semantic.EVENTS else others):
            yield event_of(kind, seed, number)


def event_of(kind: str, seed: int, number: int, properties: Event | None = None) -> Event:
    """The event of that kind and number: 0 complete, then by turns sparse, odd and complete.

    ``kind`` may be another event name; ``properties`` are then the whole of what it may hold.
    """
    chance = random.Random(f"{seed}/{kind}/{number}")
    style = ("full", "sparse", "odd")[number % 3]
    event: Event = {
        "messageId": f"message-{chance.randrange(10**9):09d}",
        "timestamp": chance.choice(_STAMPS),
        "receivedAt": "2026-03-04T05:06:07.500Z",
        "context": _context(chance, style),
        "integrations": {},
        **_who(chance),
    }
    event.update(_body(kind, chance, style, properties))
    return event


def _body(kind: str, chance: random.Random, style: str, properties: Event | None) -> Event:
    if kind == "identify":
        return {"type": kind, "traits": _fill(semantic.USER_TRAITS, chance, style)}
    if kind == "group":
        traits = _fill(semantic.GROUP_TRAITS, chance, style)
        return {"type": kind, "groupId": f"group-{chance.randrange(100)}", "traits": traits}
    if kind in ("page", "screen"):
        shape = semantic.PAGE if kind == "page" else semantic.SCREEN
        body: Event = {"type": kind, "properties": _fill(shape, chance, style)}
        if chance.random() < 0.8:
            body["name"] = chance.choice(("Home", "Docs", "Basket"))
        if chance.random() < 0.4:
            body["category"] = chance.choice(("Shop", "Help"))
        return body
    if kind == "alias":
        return {"type": kind, "previousId": f"old-{chance.randrange(100)}"}
    if properties is not None:
        kept = {k: v for k, v in properties.items() if style == "full" or chance.random() < 0.7}
        return {"type": "track", "event": kind, "properties": kept}
    shape = semantic.EVENTS[kind]
    return {"type": "track", "event": kind, "properties": _fill(shape, chance, style)}


def _who(chance: random.Random) -> Event:
    user = {"userId": f"user-{chance.randrange(1000)}"}
    visitor = {"anonymousId": f"visitor-{chance.randrange(1000)}"}
    return chance.choice((user, visitor, user | visitor, user | visitor, {}))


def _fill(shape: dict[str, str], chance: random.Random, style: str) -> Event:
    filled: Event = {}
    for name, kind in shape.items():
        if style != "full" and chance.random() < 0.45:
            continue
        odd = style == "odd" and chance.random() < 0.35
        filled[name] = chance.choice(_ODD) if odd else _value(kind, chance, style)
    if chance.random() < 0.3:
        filled["extra"] = chance.choice((*_ODD, "more"))
    if chance.random() < 0.2:
        filled["email"] = chance.choice(_EMAILS)
    return filled


def _value(kind: str, chance: random.Random, style: str) -> Json:
    if kind == "products":
        count = chance.randrange(4)
        return [_fill(semantic.PRODUCT, chance, style) for _ in range(count)]
    if kind in ("object", "campaign", "address"):
        return _object(kind, chance)
    if kind == "objects":
        return [{"type": "price", "value": chance.choice(_WORDS)} for _ in range(2)]
    if kind in ("words", "ids"):
        return [chance.choice(_WORDS) for _ in range(chance.randrange(3))]
    return _scalar(kind, chance)


def _scalar(kind: str, chance: random.Random) -> Json:
    choices: dict[str, Json] = {
        "id": f"id-{chance.randrange(10000)}",
        "money": chance.choice((0, 19.99, 5, 1234.5, 0.1, round(chance.uniform(0, 500), 2))),
        "count": chance.randrange(10),
        "number": chance.choice((29.97, 60, 0.5)),
        "flag": chance.random() < 0.5,
        "currency": chance.choice(("USD", "EUR", "JPY", "nok", "")),
        "email": chance.choice(_EMAILS),
        "phone": chance.choice(_PHONES),
        "url": chance.choice(("https://toast.test/a?b=c&utm_source=mail", "https://toast.test")),
        "date": chance.choice(_DATES),
    }
    return choices.get(kind, chance.choice(_WORDS))


def _object(kind: str, chance: random.Random) -> Event:
    keys: tuple[str, ...]
    if kind == "campaign":
        keys = ("name", "source", "medium", "term", "content")
    elif kind == "address":
        keys = ("street", "city", "state", "postalCode", "country")
    else:
        keys = ("id", "name", "industry", "plan")
    return {key: chance.choice(_WORDS) for key in keys if chance.random() < 0.8}


def _context(chance: random.Random, style: str) -> Event:
    context: Event = {"library": {"name": "analytics.js", "version": "2.1.0"}}
    if style != "full" and chance.random() < 0.2:
        return context
    parts: dict[str, Json] = {
        "ip": "203.0.113.7",
        "userAgent": chance.choice(_AGENTS),
        "locale": chance.choice(("en-US", "nb", "pt-BR")),
        "timezone": "Europe/Oslo",
        "groupId": f"group-{chance.randrange(100)}",
        "campaign": _object("campaign", chance),
        "traits": _fill(semantic.USER_TRAITS, chance, "sparse"),
        "page": _page(chance),
        "screen": {"width": 390, "height": 844, "density": 2},
        "referrer": {"id": "ABC123", "type": "dataxu", "url": "https://search.test/"},
        "location": {"city": "Oslo", "country": "Norway", "latitude": 59.9, "longitude": 10.7},
    }
    kept = {name: part for name, part in parts.items() if chance.random() < 0.6}
    return context | kept | (_device(chance) if chance.random() < 0.5 else {})


def _page(chance: random.Random) -> Event:
    return {
        "path": "/shop/",
        "referrer": chance.choice(("https://www.google.com/search?q=toast", "", "$direct")),
        "search": chance.choice(("?utm_source=mail&utm_campaign=Spring&gclid=G1", "")),
        "title": "Shop | Toast",
        "url": chance.choice(("https://toast.test/shop/?a=1", "https://toast.test/")),
    }


def _device(chance: random.Random) -> Event:
    kind = chance.choice(("ios", "android", "Android"))
    return {
        "app": {"name": "Toast", "version": "2.3.1", "build": "77", "namespace": "test.toast"},
        "device": {
            "id": f"device-{chance.randrange(100)}",
            "advertisingId": "7A3CBBA0-BDF5-11E4-8DFC-AA02A5B093DB",
            "adTrackingEnabled": chance.random() < 0.5,
            "manufacturer": chance.choice(("Apple", "Google")),
            "model": chance.choice(("iPhone15,2", "Pixel 8")),
            "name": "phone",
            "type": kind,
            "token": f"token-{chance.randrange(100)}",
        },
        "os": {"name": chance.choice(("iOS", "Android")), "version": "17.5"},
        "network": {"bluetooth": False, "carrier": "Telenor", "cellular": True, "wifi": False},
    }
