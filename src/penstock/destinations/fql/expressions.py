"""Parts of a condition, each with the function that it is compiled to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.destinations.fql.functions import Function, Kind, Undecidable, kind_of, same

__all__ = [
    "BOOLEAN",
    "Expression",
    "call",
    "compare",
    "contained",
    "either_or_all",
    "equal",
    "literal",
    "negated",
    "order_of",
    "path_value",
    "truth",
]

Event = dict[str, Any]
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERED = frozenset[Kind]({"number", "string"})
BOOLEAN = frozenset[Kind]({"bool", "null"})
"""What `and`, `or` and `!` take; null counts as false."""


@dataclass(frozen=True)
class Expression:
    """Something that has a value for each event."""

    kinds: frozenset[Kind]
    """What it may be; ``any`` among them: everything."""
    value: Callable[[Event], Any]
    """Raises Undecidable."""
    position: int
    """Where it begins in the text."""
    constant: bool = False

    def may_be(self, kinds: frozenset[Kind]) -> bool:
        """Whether an event is thinkable for which it is one of these."""
        return "any" in self.kinds or bool(self.kinds & kinds)


def literal(value: Any, position: int) -> Expression:
    """A value that stands in the text."""
    return Expression(frozenset({kind_of(value)}), lambda _: value, position, constant=True)


def path_value(keys: Sequence[str], position: int) -> Expression:
    """What the event has at a path; null when it has nothing there."""
    kinds = frozenset[Kind]({"any"})
    first, *rest = keys
    if not rest:
        return Expression(kinds, lambda event: event.get(first), position)

    def value(event: Event) -> Any:
        found = event.get(first)
        for key in rest:
            if type(found) is not dict:
                return None
            found = found.get(key)
        return found

    return Expression(kinds, value, position)


def equal(left: Expression, right: Expression, *, negative: bool) -> Expression:
    """``=`` and ``!=``."""
    first, second = left.value, right.value
    if right.constant and right.kinds == {"string"}:
        text = second({})
        if negative:
            return _truth(lambda event: bool(first(event) != text), left)
        return _truth(lambda event: bool(first(event) == text), left)
    if negative:
        return _truth(lambda event: not same(first(event), second(event)), left)
    return _truth(lambda event: same(first(event), second(event)), left)


def compare(sign: str, left: Expression, right: Expression) -> Expression:
    """``<``, ``<=``, ``>`` and ``>=``: two numbers or two texts; false when one is null."""
    first, second, holds = left.value, right.value, _ORDERS[sign]

    def value(event: Event) -> bool:
        one, other = first(event), second(event)
        if one is None or other is None:
            return False
        kind = kind_of(one)
        if kind not in _ORDERED or kind != kind_of(other):
            raise Undecidable(f"{kind} and {kind_of(other)} have no order")
        return holds(one, other)

    return _truth(value, left)


def order_of(left: Expression, right: Expression) -> bool:
    """Whether an event is thinkable for which both have an order."""
    pairs = [frozenset[Kind]({kind, "null"}) for kind in _ORDERED]
    return any(left.may_be(pair) and right.may_be(pair) for pair in pairs)


def contained(left: Expression, right: Expression) -> Expression:
    """``in``: whether the list has the value; false when there is no list."""
    first, second = left.value, right.value

    def value(event: Event) -> bool:
        one, items = first(event), second(event)
        if items is None:
            return False
        if type(items) is not list or type(one) in (list, dict):
            raise Undecidable("`in` needs a value and a list")
        return any(same(one, item) for item in items)

    return _truth(value, left)


def call(name: str, function: Function, arguments: Sequence[Expression], at: int) -> Expression:
    """A function of one or two arguments."""
    kinds = frozenset[Kind]({function.gives, "null"} if function.may_be_null else {function.gives})
    takes, give = function.takes, function.call
    if len(arguments) == 1:
        only, kinds_taken = arguments[0].value, takes[0]

        def of_one(event: Event) -> Any:
            return give(_checked(name, only(event), kinds_taken))

        return Expression(kinds, of_one, at)
    first, second = (argument.value for argument in arguments)

    def of_two(event: Event) -> Any:
        return give(_checked(name, first(event), takes[0]), _checked(name, second(event), takes[1]))

    return Expression(kinds, of_two, at)


def negated(inner: Expression) -> Expression:
    """``!``."""
    value = truth(inner)
    return _truth(lambda event: not value(event), inner)


def either_or_all(word: str, parts: Sequence[Expression]) -> Expression:
    """``or`` and ``and``; the parts are asked from the left, as many as are needed."""
    values = [truth(part) for part in parts]
    decided = word == "or"

    def value(event: Event) -> bool:
        for each in values:
            if each(event) is decided:
                return decided
        return not decided

    return _truth(value, parts[0])


def truth(part: Expression) -> Callable[[Event], bool]:
    """Its value as true or false. Raises Undecidable when it is something else."""
    inner = part.value
    if part.kinds == {"bool"}:
        return inner

    def value(event: Event) -> bool:
        found = inner(event)
        if found is not None and type(found) is not bool:
            raise Undecidable(f"{kind_of(found)} is neither true nor false")
        return bool(found)

    return value


def _truth(value: Callable[[Event], bool], at: Expression) -> Expression:
    return Expression(frozenset({"bool"}), value, at.position)


def _checked(name: str, value: Any, kinds: frozenset[Kind]) -> Any:
    if kind_of(value) not in kinds:
        raise Undecidable(f"{name} can't be used on a value of the kind {kind_of(value)}")
    return value
