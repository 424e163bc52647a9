"""Values turned into the type of their field and checked against its limits."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import to_builtins

from penstock.destinations.contract import Json
from penstock.destinations.mappings import UNDEFINED
from penstock.destinations.mappings.values import article, type_name
from penstock.destinations.payloads.coercion import coercer
from penstock.destinations.payloads.formats import FORMATS
from penstock.destinations.payloads.schema import Schema

__all__ = ["Check", "Wrong", "checker", "copied"]

Check = Callable[[Json], Json]
_PYTHON_TYPES: dict[tuple[str, ...], type] = {
    ("string",): str,
    ("number",): int,
    ("boolean",): bool,
    ("object",): dict,
    ("array",): list,
}


class Wrong(Exception):
    """A value is not what its field takes; the message names the field, not the value."""


def checker(schema: Schema, label: str) -> Check:
    """Make what gives a value of ``schema`` back as it must be, or raises Wrong.

    ``label`` names the field in messages.
    """
    coerce = coercer(schema.types)
    expected = _PYTHON_TYPES.get(schema.types)
    rules = _rules(schema, label)
    [only] = rules if len(rules) == 1 else [None]

    def check(value: Json) -> Json:
        if type(value) is not expected:
            given, value = value, coerce(value)
            if value is UNDEFINED:
                wanted = " or ".join(article(name) for name in schema.types)
                raise Wrong(f"{label} must be {wanted}, not {article(type_name(given))}")
        if only:
            return only(value)
        for rule in rules:
            value = rule(value)
        return value

    return check


def copied(value: Json) -> Json:
    """``value`` with lists and objects of its own."""
    try:
        return to_builtins(value)
    except (TypeError, RecursionError):  # UNDEFINED is in it
        return _copied(value)


def _copied(value: Json) -> Json:
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items() if item is not UNDEFINED}
    if type(value) is list:
        return [_copied(item) for item in value]
    return None if value is UNDEFINED else value


def _rules(schema: Schema, label: str) -> list[Check]:
    rules: list[Check] = []
    if schema.choices is not None:
        rules.append(_choice(schema.choices, label))
    if schema.shortest is not None or schema.longest is not None:
        rules.append(_length(schema.shortest, schema.longest, label))
    if schema.minimum is not None or schema.maximum is not None:
        rules.append(_range(schema.minimum, schema.maximum, label))
    if schema.format:
        rules.append(_format(schema.format, label))
    if schema.items is not None:
        rules.append(_items(schema.items, label))
    elif schema.properties is not None:
        rules.append(_properties(schema, schema.properties, label))
    elif "object" in schema.types or "array" in schema.types:
        rules.append(copied)
    return rules


def _choice(choices: tuple[Json, ...], label: str) -> Check:
    known = {(type_name(choice), choice) for choice in choices}
    listed = ", ".join("null" if choice is None else str(choice) for choice in choices[:20])

    def check(value: Json) -> Json:
        if type(value) in (list, dict) or (type_name(value), value) not in known:
            raise Wrong(f"{label} must be one of {listed}")
        return value

    return check


def _length(shortest: float | None, longest: float | None, label: str) -> Check:
    def check(value: Json) -> Json:
        if type(value) is str:
            if shortest is not None and len(value) < shortest:
                raise Wrong(f"{label} must have at least {shortest:g} characters")
            if longest is not None and len(value) > longest:
                raise Wrong(f"{label} must have at most {longest:g} characters")
        return value

    return check


def _range(minimum: float | None, maximum: float | None, label: str) -> Check:
    def check(value: Json) -> Json:
        if type(value) in (int, float):
            if minimum is not None and value < minimum:
                raise Wrong(f"{label} must be at least {minimum:g}")
            if maximum is not None and value > maximum:
                raise Wrong(f"{label} must be at most {maximum:g}")
        return value

    return check


def _format(name: str, label: str) -> Check:
    fits, description = FORMATS[name]

    def check(value: Json) -> Json:
        if type(value) is str and not fits(value):
            raise Wrong(f"{label} must be {description}")
        return value

    return check


def _items(schema: Schema, label: str) -> Check:
    def check(value: Json) -> Json:
        return [each(item) for item in value]

    each = checker(schema, f"{label} (each element)")
    return check


def _properties(schema: Schema, properties: dict[str, Schema], label: str) -> Check:
    checks = {key: checker(part, f"{label}.{key}") for key, part in properties.items()}

    def check(value: Json) -> Json:
        made = {}
        for key, item in value.items():
            known = checks.get(key)
            if known:
                made[key] = known(item)
            elif schema.additional:
                made[key] = copied(item)
        for key in schema.required:
            if key not in made:
                raise Wrong(f"{label}.{key} is required")
        return made

    return check
