"""Triggers, from tree to text."""

from __future__ import annotations

import re
from decimal import Decimal

from penstock.destinations.fql.trigger_tree import Comparison, Node

__all__ = ["generate"]

_TO_ESCAPE = re.compile(r"[^A-Za-z0-9_-]")
_FUNCTIONS = {
    "contains": ("contains", "", ""),
    "starts_with": ("match", "", "*"),
    "ends_with": ("match", "*", ""),
}
_WORDS = {
    "exists": "!= null",
    "not_exists": "= null",
    "is_true": "= true",
    "is_false": "= false",
}
_NUMBERS = {"number_equals": "=", "number_not_equals": "!="}


def generate(node: Node) -> str:
    """The trigger as text, with parentheses around every group within a group.

    So an imported trigger can be kept as one that says what it means. What ``match`` looks for
    may hold a ``*`` only in one that was imported.
    """
    if isinstance(node, Comparison):
        return _comparison(node)
    return f" {node.connective} ".join(
        generate(child) if isinstance(child, Comparison) else f"({generate(child)})"
        for child in node.children
    )


def _comparison(node: Comparison) -> str:
    path = ".".join((node.root, *(_TO_ESCAPE.sub(r"\\\g<0>", key) for key in node.keys)))
    name = node.operator.removeprefix("not_")
    if name in _FUNCTIONS:
        function, before, after = _FUNCTIONS[name]
        sign = "!" if node.operator != name else ""
        return f'{sign}{function}({path}, "{before}{node.value}{after}")'
    if node.operator in _WORDS:
        return f"{path} {_WORDS[node.operator]}"
    if isinstance(node.value, str):
        return f'{path} {node.operator} "{node.value}"'
    operator = _NUMBERS.get(node.operator, node.operator)
    return f"{path} {operator} {format(Decimal(repr(node.value)), 'f')}"
