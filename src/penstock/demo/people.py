"""The people of Toastmates: who they are and what they browse with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random

_FIRST = (
    "Ada", "Bruno", "Chloe", "Dev", "Elena", "Farid", "Grace", "Hugo", "Imani", "Jonas", "Kira",
    "Leo", "Mina", "Noor", "Oscar", "Priya", "Quentin", "Rosa", "Samir", "Tess", "Uma", "Victor",
    "Wren", "Ximena", "Yusuf", "Zoë",
)  # fmt: skip
_LAST = (
    "Abbott", "Baker", "Castillo", "Dough", "Eriksen", "Fournier", "Garcia", "Hale", "Ito",
    "Jansen", "Kovač", "Lindqvist", "Miller", "Nakamura", "Okafor", "Perez", "Quinn", "Rossi",
    "Singh", "Tanaka", "Usman", "Varga", "Weber", "Young", "Zhang",
)  # fmt: skip
_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36",
)
_PLACES = (
    ("en-US", "America/Los_Angeles"),
    ("en-US", "America/New_York"),
    ("en-GB", "Europe/London"),
    ("es-MX", "America/Mexico_City"),
)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Person:
    """A visitor; the user id is used only in calls made after they signed in."""

    user_id: str
    anonymous_id: str
    name: str
    email: str
    ip: str
    user_agent: str
    locale: str
    timezone: str


def new_person(
    rng: Random, *, user_id: str | None = None, name: str | None = None, email: str | None = None
) -> Person:
    """Draw a person; ids, name and e-mail that are given are kept."""
    drawn_id = "".join(rng.choice(_LETTERS) for _ in range(10))
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    locale, timezone = rng.choice(_PLACES)
    number = rng.randrange(2 * 254)
    network = ("198.51.100", "203.0.113")[number // 254]
    ident = user_id or drawn_id
    return Person(
        user_id=ident,
        anonymous_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        name=name or f"{first} {last}",
        email=email or f"{ident.lower()}@example.com",
        ip=f"{network}.{number % 254 + 1}",
        user_agent=rng.choice(_AGENTS),
        locale=locale,
        timezone=timezone,
    )
