"""Keeps the deliveries of one person one after the other, where that is asked for."""

from __future__ import annotations

from collections import Counter, deque

from penstock.destinations.delivery.unit import Delivery

__all__ = ["Order"]


class Order:
    """Lets one delivery of a person through at a time.

    A person some of whose deliveries are in the retry table is *behind*: what comes later for that
    person has to go there too, and the table is worked through in order.
    """

    def __init__(self, behind: Counter[str] | None = None) -> None:
        """``behind``: deliveries in the retry table by person."""
        self._behind = behind or Counter()
        self._waiting: dict[str, deque[Delivery]] = {}

    def is_behind(self, person: str) -> bool:
        """Whether something of the person is in the retry table."""
        return self._behind[person] > 0

    def enter(self, delivery: Delivery) -> bool:
        """Whether it may go at once; else it is kept until its turn."""
        waiting = self._waiting.get(delivery.person)
        if waiting is None:
            self._waiting[delivery.person] = deque()
            return True
        waiting.append(delivery)
        return False

    def leave(self, delivery: Delivery) -> Delivery | None:
        """It is settled: the person's next one, which may go now, if any."""
        waiting = self._waiting[delivery.person]
        if waiting:
            return waiting.popleft()
        del self._waiting[delivery.person]
        return None

    def park(self, delivery: Delivery) -> list[Delivery]:
        """It goes into the retry table, and so must these, which waited for it, in order."""
        following = [*self._waiting.pop(delivery.person, ())]
        self._behind[delivery.person] += 1 + len(following)
        return following

    def park_behind(self, delivery: Delivery) -> None:
        """It goes into the retry table because of what is there already."""
        self._behind[delivery.person] += 1

    def unpark(self, person: str) -> None:
        """One of the person's left the retry table."""
        self._behind[person] -= 1
        if self._behind[person] <= 0:
            del self._behind[person]
