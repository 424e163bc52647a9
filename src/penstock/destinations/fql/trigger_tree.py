"""What a trigger says, as a tree, and as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Comparison", "Connective", "Group", "Node", "Operator", "Test", "compile_node"]

Connective = Literal["and", "or"]
Operator = Literal[
    "=",
    "!=",
    "number_equals",
    "number_not_equals",
    "<",
    "<=",
    ">",
    ">=",
    "is_true",
    "is_false",
    "exists",
    "not_exists",
    "contains",
    "not_contains",
    "starts_with",
    "not_starts_with",
    "ends_with",
    "not_ends_with",
]
Test = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Comparison:
    """One condition."""

    root: str
    """A key of the event: type, event, name, userId, properties, traits or context."""
    keys: tuple[str, ...]
    """The way on from there; empty for the first four."""
    operator: Operator
    value: str | int | float | None = None
    """A number with the six operators for numbers, None where the operator says it all, else a
    text."""


@dataclass(frozen=True)
class Group:
    """Conditions of which all (``and``) or at least one (``or``) must hold."""

    connective: Connective
    children: tuple[Node, ...]


Node = Comparison | Group


def compile_node(node: Node) -> Test:
    """A function that tells of an event whether the trigger matches. It never raises."""
    if isinstance(node, Comparison):
        return _compile_comparison(node)
    tests = tuple(compile_node(child) for child in node.children)
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        return _pair(node.connective, *tests)
    return _all_of(tests) if node.connective == "and" else _any_of(tests)


def _pair(connective: Connective, first: Test, second: Test) -> Test:
    if connective == "and":
        return lambda event: first(event) and second(event)
    return lambda event: first(event) or second(event)


def _all_of(tests: tuple[Test, ...]) -> Test:
    def test(event: dict[str, Any]) -> bool:
        for each in tests:  # noqa: SIM110 - all() takes three times as long
            if not each(event):
                return False
        return True

    return test


def _any_of(tests: tuple[Test, ...]) -> Test:
    def test(event: dict[str, Any]) -> bool:
        for each in tests:  # noqa: SIM110 - as above
            if each(event):
                return True
        return False

    return test


def _compile_comparison(comparison: Comparison) -> Test:
    root, keys, operator, value = (
        comparison.root,
        comparison.keys,
        comparison.operator,
        comparison.value,
    )
    if not keys and operator == "=":
        return lambda event: bool(event.get(root) == value)
    if not keys and operator == "!=":
        return lambda event: bool(event.get(root) != value)
    holds = _HOLDS[operator]
    if not keys:
        return lambda event: holds(event.get(root), value)
    return lambda event: holds(_walk(event.get(root), keys), value)


def _walk(value: Any, keys: tuple[str, ...]) -> Any:
    """What lies at the end of ``keys``; None when there is nothing.

    As JavaScript's ``a && a[key]`` has it, 0, false and an empty text on the way are the result.
    """
    for key in keys:
        if type(value) is dict:
            value = value.get(key)
        elif type(value) is list:
            value = _of_list(value, key)
        elif not value:
            return value
        elif type(value) is str:
            value = _of_text(value, key)
        else:
            return None
    return value


def _of_list(items: list[Any], key: str) -> Any:
    if key == "length":
        return len(items)
    index = _index(key)
    return items[index] if index is not None and index < len(items) else None


def _of_text(text: str, key: str) -> Any:
    units = text.encode("utf-16-le", "surrogatepass")
    if key == "length":
        return len(units) // 2
    index = _index(key)
    if index is None or 2 * index >= len(units):
        return None
    return units[2 * index : 2 * index + 2].decode("utf-16-le", "surrogatepass")


def _index(key: str) -> int | None:
    """``key`` as the index that it is written as: ``7``, not ``07``."""
    if key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and len(key) < 10:
        return int(key)
    return None


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


_HOLDS: dict[Operator, Callable[[Any, Any], bool]] = {
    "=": lambda actual, value: bool(actual == value),
    "!=": lambda actual, value: bool(actual != value),
    "number_equals": lambda actual, value: _is_number(actual) and bool(actual == value),
    "number_not_equals": lambda actual, value: _is_number(actual) and bool(actual != value),
    "<": lambda actual, value: _is_number(actual) and bool(actual < value),
    "<=": lambda actual, value: _is_number(actual) and bool(actual <= value),
    ">": lambda actual, value: _is_number(actual) and bool(actual > value),
    ">=": lambda actual, value: _is_number(actual) and bool(actual >= value),
    "is_true": lambda actual, _: actual is True,
    "is_false": lambda actual, _: actual is False,
    "exists": lambda actual, _: actual is not None,
    "not_exists": lambda actual, _: actual is None,
    "contains": lambda actual, value: type(actual) is str and value in actual,
    "not_contains": lambda actual, value: type(actual) is str and value not in actual,
    "starts_with": lambda actual, value: type(actual) is str and actual.startswith(value),
    "not_starts_with": lambda actual, value: type(actual) is str and not actual.startswith(value),
    "ends_with": lambda actual, value: type(actual) is str and actual.endswith(value),
    "not_ends_with": lambda actual, value: type(actual) is str and not actual.endswith(value),
}
