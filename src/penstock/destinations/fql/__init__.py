"""The language of triggers, which is a small part of FQL, and FQL itself, for filters.

Both are compiled once into closures. A text that can't be read raises FqlError with the place.
"""

from penstock.destinations.fql.conditions import compile_condition, compile_decision
from penstock.destinations.fql.triggers import compile_trigger, parse_trigger
from penstock.destinations.fql.writing import generate
from penstock.errors import FqlError

__all__ = [
    "FqlError",
    "compile_condition",
    "compile_decision",
    "compile_trigger",
    "generate",
    "parse_trigger",
]
