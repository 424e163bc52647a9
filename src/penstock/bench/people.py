"""A shop's visitors, a few of whom do most of it, and what is computed of them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from penstock.events.model import Record
from penstock.profiles.language.definitions import AudienceSetup, Kind, TraitSetup
from penstock.profiles.stream.definitions import Setups

__all__ = ["NAMES", "Visitors", "narrow_setups", "wide_setups"]

NAMES = (
    "Order Completed", "Product Added", "Product Viewed", "Email Opened", "Page Seen",
    *(f"Event {number}" for number in range(45)),
)  # fmt: skip
_WEIGHTS = (2, 5, 15, 5, 20, *[1] * 45)
_KINDS: tuple[Kind, ...] = (
    "count", "sum", "average", "min", "max", "most_frequent", "first", "last", "unique_list",
    "unique_count",
)  # fmt: skip
_FEW = 10
_DAYS = 4
_CONTEXT = (
    '"context":{"ip":"203.0.113.4","userAgent":"' + "Mozilla/5.0 " * 9 + '","page":{"url":'
    '"https://toastmates.com/store","title":"Toast"},"library":{"name":"analytics.js",'
    '"version":"1"}}'
)


class Visitors:
    """Their events, some 600 bytes each, of the last four days."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self._people = people
        self._random = random.Random(seed)
        self._now_us = time.time_ns() // 1000
        self.made = 0

    def each(self) -> Iterator[Record]:
        """One event of everybody."""
        for person in range(self._people):
            yield self._event(person)

    def skewed(self, count: int) -> Iterator[Record]:
        """Events of anybody: of the most active 1% a fifth, of the first half four fifths."""
        for _ in range(count):
            yield self._event(int(self._people * self._random.random() ** 3))

    def _event(self, person: int) -> Record:
        chance = self._random
        self.made += 1
        message = f"m{self.made}"
        name = chance.choices(NAMES, _WEIGHTS)[0]
        at_us = self._now_us - chance.randrange(_DAYS * 86_400_000_000)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_us / 1e6))
        products = ",".join(f'{{"product_id":"{number}","price":3.5}}' for number in range(3))
        payload = (
            f'{{"type":"track","messageId":"{message}","event":"{name}","userId":"u{person}",'
            f'"anonymousId":"a{person}","properties":{{"total":{chance.random() * 50:.2f},'
            f'"campaign_name":"c{chance.randrange(7)}","products":[{products}]}},{_CONTEXT},'
            f'"timestamp":"{when}.123Z","receivedAt":"{when}.456Z"}}'
        )
        return Record("bench", message, self._now_us, payload.encode())


def wide_setups(traits: int = 50, audiences: int = 100) -> Setups:
    """Traits of every kind and audiences of four shapes, over all event names."""
    return Setups(
        {f"a{number}": AudienceSetup(f"a{number}", _condition(number))
         for number in range(audiences)},
        {f"t{number}": _trait(number) for number in range(traits)},
    )  # fmt: skip


def narrow_setups(audiences: int) -> Setups:
    """So many audiences, of which ten are about events that there are."""
    few = {f"a{number}": AudienceSetup(f"a{number}", _condition(number)) for number in range(_FEW)}
    others = {
        f"b{number}": AudienceSetup(f"b{number}", f'did "Other {number}" within 30 days')
        for number in range(audiences - _FEW)
    }
    return Setups(few | others)


def _trait(number: int) -> TraitSetup:
    kind = _KINDS[number % len(_KINDS)]
    of = "campaign_name" if number % 10 >= 5 else "total"
    return TraitSetup(f"t{number}", kind, event=NAMES[number % len(NAMES)], of=of)


def _condition(number: int) -> str:
    one, other = NAMES[number % len(NAMES)], NAMES[(number * 7 + 3) % len(NAMES)]
    return (
        f'did "{one}" at least {number % 3 + 1} times within 30 days',
        f'did "{one}" and did not "{other}" after last "{one}"',
        f'did "{one}" where total > 20',
        f'sum("{one}".total) > {number * 10}',
    )[number % 4]
