"""Conditions of filters: FQL, whole.

::

    condition := "all" | either
    either    := both ("or" both)*
    both      := not ("and" not)*
    not       := "!"* comparison
    comparison:= value [("=" | "!=" | "<" | "<=" | ">" | ">=" | "in") value]
    value     := text | number | true | false | null | list | path
               | name "(" [either ("," either)*] ")" | "(" either ")"
    list      := "[" [constant ("," constant)*] "]"
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from penstock.destinations.fql import expressions
from penstock.destinations.fql.expressions import BOOLEAN, Expression
from penstock.destinations.fql.functions import FUNCTIONS, Function, Undecidable
from penstock.destinations.fql.globs import BadGlob, compile_glob
from penstock.destinations.fql.tokens import Token, number_of, path_keys, tokenize
from penstock.errors import FqlError

__all__ = ["compile_condition", "compile_decision"]

Event = dict[str, Any]
_MAX_DEPTH = 50
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "in"})
_WORDS = {"true": True, "false": False, "null": None}
_OTHER_NAMES = {
    "anonymous_id": "anonymousId",
    "group_id": "groupId",
    "message_id": "messageId",
    "original_timestamp": "originalTimestamp",
    "previous_id": "previousId",
    "received_at": "receivedAt",
    "sent_at": "sentAt",
    "user_id": "userId",
}


def compile_condition(text: str) -> Callable[[Event], bool]:
    """A function that tells of an event (its decoded JSON) whether the condition holds.

    False as well when that can't be told, as for ``properties.total > 5`` and a text. Raises
    FqlError.
    """
    decide = compile_decision(text)
    return lambda event: decide(event) is True


def compile_decision(text: str) -> Callable[[Event], bool | None]:
    """As ``compile_condition``, but the function gives None when it can't be told."""
    value = expressions.truth(_Parser(text).whole())

    def decide(event: Event) -> bool | None:
        try:
            return value(event)
        except (Undecidable, RecursionError):
            return None

    return decide


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0

    def whole(self) -> Expression:
        if [token.raw for token in self._tokens] == ["all", ""]:
            return expressions.literal(True, 0)
        condition = self._condition(self._either(0))
        if self._here.kind != "end":
            raise self._wrong(self._instead_of_end())
        return condition

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._here
        if token.kind != "end":
            self._at += 1
        return token

    def _took(self, raw: str) -> bool:
        found = self._here.raw == raw
        if found:
            self._at += 1
        return found

    def _wrong(self, what: str, position: int | None = None) -> FqlError:
        return FqlError(what, self._text, self._here.position if position is None else position)

    def _instead_of_end(self) -> str:
        raw = self._here.raw
        if raw == ")":
            return "there is no ( to this )"
        if raw.lower() in ("and", "or", "in"):
            return f"write `{raw.lower()}` in small letters"
        return "`and`, `or` or the end must stand here"

    def _condition(self, part: Expression) -> Expression:
        """``part``, which must be able to be true."""
        if not part.may_be(BOOLEAN):
            kinds = " or ".join(sorted(part.kinds))
            raise self._wrong(f"a condition must stand here, not a {kinds}", part.position)
        return part

    def _either(self, depth: int) -> Expression:
        if depth > _MAX_DEPTH:
            raise self._wrong(f"parentheses may be {_MAX_DEPTH} deep")
        return self._chain("or", lambda: self._chain("and", lambda: self._not(depth)))

    def _chain(self, word: str, part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self._here.kind == "word" and self._took(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return expressions.either_or_all(word, [self._condition(each) for each in parts])

    def _not(self, depth: int) -> Expression:
        times = 0
        while self._took("!"):
            times += 1
        part = self._comparison(depth)
        for _ in range(min(times, 2 - times % 2)):
            part = expressions.negated(self._condition(part))
        return part

    def _comparison(self, depth: int) -> Expression:
        left = self._value(depth)
        if self._here.raw not in _COMPARISONS:
            return left
        sign = self._take()
        right = self._value(depth)
        if self._here.raw in _COMPARISONS:
            raise self._wrong("comparisons can't be chained: join two with `and`")
        return self._compared(sign, left, right)

    def _compared(self, sign: Token, left: Expression, right: Expression) -> Expression:
        if sign.raw in ("=", "!="):
            return expressions.equal(left, right, negative=sign.raw == "!=")
        if sign.raw == "in":
            if not right.may_be(frozenset({"list", "null"})):
                raise self._wrong("`in` needs a list or a path after it", right.position)
            return expressions.contained(left, right)
        if not expressions.order_of(left, right):
            raise self._wrong(f"{sign.raw} compares numbers, or texts", sign.position)
        return expressions.compare(sign.raw, left, right)

    def _value(self, depth: int) -> Expression:
        if self._here.raw == "(":
            return self._parenthesis(self._take(), depth)
        if self._here.raw == "[":
            return self._list()
        if self._here.kind == "path":
            token = self._take()
            if self._here.raw == "(":
                return self._call(token, depth)
            keys = path_keys(token.raw)
            return expressions.path_value(
                (_OTHER_NAMES.get(keys[0], keys[0]), *keys[1:]), token.position
            )
        position = self._here.position
        return expressions.literal(self._constant(), position)

    def _parenthesis(self, opened: Token, depth: int) -> Expression:
        inner = self._either(depth + 1)
        if not self._took(")"):
            if self._here.kind == "end":
                raise self._wrong("there is no ) to this (", opened.position)
            raise self._wrong(self._instead_of_end())
        return inner

    def _constant(self) -> Any:
        token = self._here
        if token.kind == "text":
            value: Any = token.value
        elif token.kind == "number":
            value = number_of(token.raw)
        elif token.raw in _WORDS:
            value = _WORDS[token.raw]
        else:
            raise self._wrong(
                "a value must stand here: a path, a text, a number, true, false or null"
            )
        self._take()
        return value

    def _list(self) -> Expression:
        opened = self._take()
        items: list[Any] = []
        while not self._took("]"):
            if items and not self._took(","):
                raise self._wrong("a comma or a ] must stand here")
            items.append(self._constant())
        return expressions.literal(items, opened.position)

    def _call(self, name: Token, depth: int) -> Expression:
        function = FUNCTIONS.get(name.raw)
        if function is None:
            near = difflib.get_close_matches(name.raw, FUNCTIONS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(FUNCTIONS)}"
            raise self._wrong(f"there is no function {name.raw}: {meant}", name.position)
        self._take()
        arguments: list[Expression] = []
        while not self._took(")"):
            if arguments and not self._took(","):
                raise self._wrong("a comma or a ) must stand here")
            arguments.append(self._either(depth + 1))
        self._check_arguments(name, function, arguments)
        return expressions.call(name.raw, function, arguments, name.position)

    def _check_arguments(
        self, name: Token, function: Function, arguments: list[Expression]
    ) -> None:
        if len(arguments) != len(function.takes):
            wanted = "1 argument" if len(function.takes) == 1 else "2 arguments"
            raise self._wrong(f"{name.raw} takes {wanted}, not {len(arguments)}", name.position)
        for argument, kinds in zip(arguments, function.takes, strict=True):
            if not argument.may_be(kinds):
                wrong = " or ".join(sorted(argument.kinds))
                raise self._wrong(f"{name.raw} can't be used on a {wrong}", argument.position)
        if name.raw == "match" and arguments[1].constant:
            try:
                compile_glob(arguments[1].value({}) or "")
            except BadGlob as error:
                raise self._wrong(str(error), arguments[1].position) from None
