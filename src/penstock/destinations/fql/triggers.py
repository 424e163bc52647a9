"""Triggers: which events a mapping is for.

::

    trigger    := term ( ("and" | "or") term )*        one of the two on each level
    term       := comparison | ["!"] function | "(" trigger ")"
    function   := ("contains" | "match") "(" path "," text ")"
    comparison := path ("=" | "!=" | "<" | "<=" | ">" | ">=") value
    value      := text | number | true | false | null
    path       := "type" | "event" | "name" | "userId"
                | ("properties" | "traits" | "context") ("." key)+

A trigger that was written for another product may say something else than it seems to. Read as
imported it means here what it meant there; a new one that would is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import cast

from penstock.destinations.fql.tokens import Token, number_of, path_keys, tokenize
from penstock.destinations.fql.trigger_tree import (
    Comparison,
    Connective,
    Group,
    Node,
    Operator,
    Test,
    compile_node,
)
from penstock.errors import FqlError

__all__ = ["compile_trigger", "parse_trigger"]

_FIELDS = frozenset({"type", "event", "name", "userId"})
_OBJECTS = frozenset({"properties", "traits", "context"})
_FUNCTIONS = frozenset({"contains", "match"})
_ORDERS = frozenset({"<", "<=", ">", ">="})
_OPERATORS = _ORDERS | {"=", "!="}
_BETWEEN_KEYS = re.compile(r"[.\[\]]+")
_NUMERIC = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MAX_DEPTH = 50


def compile_trigger(text: str, *, imported: bool = False) -> Test:
    """A function that tells of an event (its decoded JSON) whether the trigger matches it.

    ``imported``: the text was saved in another product, and keeps its meaning: where ``and`` and
    ``or`` stand on one level, the last of them governs all of it; words that are not known, such
    as ``AND``, are passed over; values may be without quotes. Raises FqlError.
    """
    return compile_node(parse_trigger(text, imported=imported))


def parse_trigger(text: str, *, imported: bool = False) -> Node:
    """What ``text`` says. Raises FqlError."""
    parser = (_ImportedParser if imported else _Parser)(text)
    node = parser.level(0)
    if parser.here.kind != "end":
        raise parser.wrong("there is no ( to this )")
    return node


class _Parser:
    """Reads the grammar and nothing else."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._at = 0

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def wrong(self, what: str, token: Token | None = None) -> FqlError:
        return FqlError(what, self.text, (token or self.here).position)

    def level(self, depth: int) -> Node:
        """Terms up to a closing parenthesis or the end."""
        nodes = [self.term(depth)]
        connective: Connective = "and"
        while self.here.raw in ("and", "or"):
            if len(nodes) > 1 and self.here.raw != connective:
                raise self.wrong(
                    "`and` and `or` are mixed here: use parentheses to say what you mean"
                )
            connective = cast("Connective", self.take().raw)
            nodes.append(self.term(depth))
        if self.here.kind != "end" and self.here.raw != ")":
            raise self.wrong(self._instead_of_connective())
        return nodes[0] if len(nodes) == 1 else Group(connective, tuple(nodes))

    def term(self, depth: int) -> Node:
        token = self.take()
        if token.raw == "(":
            return self._group(token, depth)
        if token.raw == "!":
            if self.here.raw not in _FUNCTIONS:
                raise self.wrong("`!` can only stand before contains(...) and match(...)", token)
            return self._function(self.take(), negated=True)
        if token.raw in _FUNCTIONS and self.here.raw == "(":
            return self._function(token, negated=False)
        if token.kind == "path":
            return self.comparison(token)
        raise self.wrong("a condition must stand here", token)

    def take(self) -> Token:
        token = self.here
        if token.kind != "end":
            self._at += 1
        return token

    def expect(self, sign: str, what: str) -> Token:
        if self.here.raw != sign:
            raise self.wrong(what)
        return self.take()

    def comparison(self, path: Token) -> Comparison:
        root, keys = self._path(path)
        operator = self.take()
        if operator.raw not in _OPERATORS:
            raise self.wrong("=, !=, <, <=, > or >= must stand here", operator)
        value = self.take()
        if operator.raw in _ORDERS:
            return Comparison(root, keys, cast("Operator", operator.raw), self.bound(value, root))
        return self._equality(root, keys, operator.raw == "!=", value)

    def bound(self, value: Token, root: str) -> int | float:
        """What a number is compared with."""
        if value.kind != "number":
            raise self.wrong("a number must stand here", value)
        return number_of(value.raw)

    def plain_text(self, value: Token) -> str:
        """What a text is compared with, as a text."""
        if value.kind == "text" and value.raw[0] == "'":
            raise self.wrong("put texts of triggers in double quotes", value)
        if value.kind == "text":
            return value.value
        if value.kind == "number":
            return _number_text(number_of(value.raw))
        if value.raw in ("true", "false", "null"):
            return value.raw
        raise self.wrong('a value must stand here: "text", 5, true, false or null', value)

    def pattern(self, value: Token) -> tuple[str, str]:
        """The operator that ``match`` stands for, and what it looks for."""
        text = self.function_text(value)
        if text.endswith("*") and "*" not in text[:-1]:
            return "starts_with", text[:-1]
        if text.startswith("*") and "*" not in text[1:]:
            return "ends_with", text[1:]
        raise self.wrong('match takes "text*" or "*text" (contains finds a text anywhere)', value)

    def function_text(self, value: Token) -> str:
        if value.kind != "text":
            raise self.wrong("a text in double quotes must stand here", value)
        return self.plain_text(value)

    def reads_otherwise(self, what: str, token: Token) -> None:
        """Called for what means something else than it seems to."""
        raise self.wrong(what, token)

    def _group(self, opened: Token, depth: int) -> Node:
        if depth == _MAX_DEPTH:
            raise self.wrong(f"parentheses may be {_MAX_DEPTH} deep", opened)
        node = self.level(depth + 1)
        if self.here.raw != ")":
            raise self.wrong("there is no ) to this (", opened)
        self.take()
        return node

    def _function(self, name: Token, *, negated: bool) -> Comparison:
        self.expect("(", f"{name.raw} is written as {name.raw}(path, text)")
        path = self.take()
        if path.kind != "path":
            raise self.wrong("a path must stand here, such as properties.title", path)
        root, keys = self._path(path)
        if root == "type":
            raise self.wrong(f"{name.raw} can't be used on type", path)
        self.expect(",", "a comma and a text must follow the path")
        value = self.take()
        operator, text = (
            ("contains", self.function_text(value))
            if name.raw == "contains"
            else self.pattern(value)
        )
        self.expect(")", "a ) must stand here")
        return Comparison(root, keys, cast("Operator", "not_" * negated + operator), text)

    def _path(self, token: Token) -> tuple[str, tuple[str, ...]]:
        root, *rest = path_keys(token.raw)
        if root in _FIELDS:
            if rest:
                raise self.wrong(f"{root} has no keys of its own", token)
            return root, ()
        if root not in _OBJECTS:
            raise self.wrong(_unknown(token.raw), token)
        keys = tuple(key for key in _BETWEEN_KEYS.split(".".join(rest)) if key)
        if not keys:
            raise self.wrong(f"a key must follow: {root}.something", token)
        return root, keys

    def _equality(
        self, root: str, keys: tuple[str, ...], negated: bool, value: Token
    ) -> Comparison:
        if value.raw == "null" and root not in ("type", "event"):
            return Comparison(root, keys, "exists" if negated else "not_exists")
        if value.raw in ("true", "false") and not negated and (keys or root == "userId"):
            return Comparison(root, keys, "is_true" if value.raw == "true" else "is_false")
        if value.kind == "number" and keys:
            operator: Operator = "number_not_equals" if negated else "number_equals"
            return Comparison(root, keys, operator, number_of(value.raw))
        text = self.plain_text(value)
        if value.kind == "word":
            self.reads_otherwise(
                f'this compares with the text "{text}": put it in quotes if you mean that'
                + (", or turn it round: = true, = false" if keys else ""),
                value,
            )
        return Comparison(root, keys, "!=" if negated else "=", text)

    def _instead_of_connective(self) -> str:
        if self.here.raw.lower() in ("and", "or"):
            return f"write `{self.here.raw.lower()}` in small letters"
        return "`and`, `or` or the end must stand here"


class _ImportedParser(_Parser):
    """Reads what the other product reads, and gives it the meaning that it has there."""

    def level(self, depth: int) -> Node:
        start = self.here
        nodes: list[Node] = []
        connective: Connective = "and"
        while self.here.kind != "end" and self.here.raw != ")":
            if self.here.kind == "word" and self.here.raw in ("and", "or"):
                word = self.take()
                if self._stands_alone(word):
                    connective = cast("Connective", word.raw)
            elif self._is_condition():
                nodes.append(self.term(depth))
            else:
                self.take()
        if not nodes:
            raise self.wrong("a condition must stand here", start)
        return nodes[0] if len(nodes) == 1 else Group(connective, tuple(nodes))

    def bound(self, value: Token, root: str) -> int | float:
        if value.kind == "text" and value.raw[0] == '"':
            text = value.value.strip()
            if text and not _NUMERIC.fullmatch(text):
                raise self.wrong("this compares a number with a text: it never matches", value)
            return number_of(text or "0")
        if value.raw in ("true", "false") and root in _OBJECTS:
            return int(value.raw == "true")
        return super().bound(value, root)

    def plain_text(self, value: Token) -> str:
        if value.kind == "text" and value.raw[0] == "'":
            return value.raw
        if value.kind in ("path", "word"):
            return ".".join(path_keys(value.raw))
        return super().plain_text(value)

    def function_text(self, value: Token) -> str:
        return self.plain_text(value)

    def pattern(self, value: Token) -> tuple[str, str]:
        text = self.plain_text(value)
        if value.raw.endswith('*"'):
            return "starts_with", text[:-1]
        return "ends_with", text[1:]

    def reads_otherwise(self, what: str, token: Token) -> None:
        """It is kept."""

    def _stands_alone(self, word: Token) -> bool:
        """Whether the other product takes it for a connective: not in ``or(``."""
        after = self.text[word.end : word.end + 1]
        return after == "" or after.isspace() or after in ",])"

    def _is_condition(self) -> bool:
        """Whether the next token is more than a word that is passed over."""
        if self.here.kind != "path":
            return True
        first = path_keys(self.here.raw)[0]
        return first in _FIELDS | _OBJECTS or self.here.raw in _FUNCTIONS


def _number_text(number: int | float) -> str:
    return str(number) if isinstance(number, int) else format(Decimal(repr(number)), "f")


def _unknown(raw: str) -> str:
    return (
        f"{raw.split('.')[0]} is not known here: a path is type, event, name, userId, or begins "
        "with properties., traits. or context."
    )
