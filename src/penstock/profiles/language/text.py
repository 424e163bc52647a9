"""Reads a condition from text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from penstock.errors import FqlError
from penstock.profiles.language.model import (
    Aggregate,
    All,
    AnyOf,
    Condition,
    Count,
    CountOperator,
    Dates,
    Did,
    Event,
    InAudience,
    Interval,
    Not,
    Test,
    Tests,
    Trait,
    Users,
    Window,
    Within,
)

__all__ = ["UNITS", "moment", "parse", "parse_tests"]

UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
"""Seconds of each unit of time."""
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<date>\d{4}-\d\d-\d\d(?:T[0-9:.]+(?:Z|[+-]\d\d:?\d\d))?)
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<sign>!=|>=|<=|[=><(),.])
    |(?P<word>[A-Za-z_$][A-Za-z0-9_$-]*))""",
    re.VERBOSE,
)
_COUNTS: tuple[CountOperator, ...] = ("at least", "at most", "exactly", "more than", "less than")
_FUNCTIONS: tuple[Literal["sum", "average", "min", "max"], ...] = ("sum", "average", "min", "max")
_RESERVED = frozenset({"did", "not", "in", "trait", "any", "all", "none", *_FUNCTIONS})
_PHRASES = (
    "does not contain", "does not exist", "contains one of", "is not one of", "not one of",
    "is one of", "starts with", "ends with", "within last", "within next", "before last",
    "after next", "one of", "contains", "exists", "before", "after",
)  # fmt: skip
"""Operators of words; the longer first."""
_NO_VALUE = ("exists", "does not exist")
_LISTS = ("one of", "not one of", "contains one of")
_SPANS = ("within last", "within next", "before last", "after next")
_DEEPEST = 50


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    position: int


def parse(text: str) -> Condition:
    """A condition. Raises FqlError with the position of what can't be read."""
    reader = _Reader(text)
    condition = reader.condition(0)
    reader.expect_end()
    return condition


def parse_tests(text: str) -> Test | Tests:
    """What stands behind ``where``. Raises FqlError."""
    reader = _Reader(text)
    tests = reader.alternatives(0)
    reader.expect_end()
    return tests


def moment(text: str) -> datetime | None:
    """A date or a moment, of which the zone is named; None for anything else."""
    try:
        found = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    # Conditions -----------------------------------------------------------------------------

    def condition(self, depth: int) -> Condition:
        """Alternatives of conjunctions."""
        if depth > _DEEPEST:
            raise self._error(
                f"nested deeper than {_DEEPEST}; use audiences of their own for parts of it"
            )
        every = [self._conjunction(depth)]
        while self._take("or"):
            every.append(self._conjunction(depth))
        return every[0] if len(every) == 1 else AnyOf(tuple(every))

    def _conjunction(self, depth: int) -> Condition:
        every = [self._single(depth)]
        while self._take("and"):
            every.append(self._single(depth))
        return every[0] if len(every) == 1 else All(tuple(every))

    def _single(self, depth: int) -> Condition:
        if self._take("("):
            inner = self.condition(depth + 1)
            self._need(")")
            return inner
        if self._take("not"):
            if self._take("in"):
                return Not(self._audience())
            return Not(self._single(depth + 1))
        if self._take("in"):
            return self._audience()
        if self._take("did"):
            negated = self._take("not")
            found = self._did()
            return Not(found) if negated else found
        if self._take("trait"):
            return Trait(self._name("the name of a trait"), *self._comparison())
        for quantifier in ("any", "all", "none"):
            if self._take(quantifier, "of", "users"):
                return Users(quantifier, self._single(depth + 1))
        return self._aggregate()

    def _audience(self) -> InAudience:
        if not self._take("audience"):
            raise self._error("expected `audience` and a slug, such as: in audience loyal")
        return InAudience(self._name("the slug of an audience"))

    def _did(self) -> Did:
        event = self._event()
        count, window, after = Count(), None, None
        while True:
            found = self._count()
            if found is not None:
                count = found
                continue
            if self._take("after", "last"):
                after = self._event()
                continue
            seen = self._window()
            if seen is None:
                return Did(event, count, window, after)
            window = seen

    def _event(self) -> Event:
        name = self._name('the name of an event, such as "Order Completed"')
        return Event(name, self._tests() if self._take("where") else None)

    def _count(self) -> Count | None:
        for op in _COUNTS:
            if self._take(*op.split()):
                times = self._whole()
                if not (self._take("times") or self._take("time")):
                    raise self._error(f"expected `times` after {op} {times}")
                return Count(op, times)
        return None

    def _aggregate(self) -> Condition:
        for function in _FUNCTIONS:
            if self._take(function, "("):
                event, where = self._name("the name of an event"), None
                self._need(".")
                name = self._property()
                self._need(")")
                if self._take("where"):
                    where = self._tests()
                op = self._sign()
                value = self._number()
                window = self._window()
                return Aggregate(function, Event(event, where), name, op, value, window)
        raise self._error(
            "expected a condition: did ..., did not ..., trait ..., in audience ..., "
            "sum(EVENT.property) ..., or parentheses"
        )

    def _window(self) -> Window | None:
        if self._take("within"):
            self._take("the")
            self._take("last")
            return Within(self._span())
        if not self._take("between"):
            return None
        if self._kind() in ("date", "text"):
            start = self._date()
            self._need("and")
            return Dates(start, self._date())
        nearest = self._number()
        unit = self._unit() if self._kind() == "word" and self._peek() != "and" else 0
        self._need("and")
        farthest = self._number()
        last = self._unit()
        self._need("ago")
        first = round(nearest * (unit or last))
        second = round(farthest * last)
        return Interval(min(first, second), max(first, second))

    # Tests of properties --------------------------------------------------------------------

    def _tests(self) -> Test | Tests:
        """Behind ``where``: tests joined by ``and``; alternatives stand in parentheses."""
        every = [self._test(0)]
        while self._peek() == "and" and self._begins_test(self._at + 1):
            self._at += 1
            every.append(self._test(0))
        return every[0] if len(every) == 1 else Tests("all", tuple(every))

    def _begins_test(self, index: int) -> bool:
        """Whether a property and an operator stand there, and no condition."""
        if index + 1 >= len(self._tokens):
            return False
        token, following = self._tokens[index], self._tokens[index + 1]
        if token.kind == "text":
            return True
        if token.kind != "word" or token.text in _RESERVED:
            return False
        return following.text != "("

    def alternatives(self, depth: int) -> Test | Tests:
        """Tests joined by ``or`` and ``and``."""
        if depth > _DEEPEST:
            raise self._error(f"nested deeper than {_DEEPEST}")
        every: list[Test | Tests] = []
        while True:
            together = [self._test(depth)]
            while self._take("and"):
                together.append(self._test(depth))
            every.append(together[0] if len(together) == 1 else Tests("all", tuple(together)))
            if not self._take("or"):
                return every[0] if len(every) == 1 else Tests("any", tuple(every))

    def _test(self, depth: int) -> Test | Tests:
        if self._take("("):
            inner = self.alternatives(depth + 1)
            self._need(")")
            return inner
        if self._take("not"):
            return Tests("none", (self._test(depth + 1),))
        return Test(self._property(), *self._comparison())

    def _property(self) -> str:
        name = self._name("the name of a property")
        while self._peek() == "." and self._kind(1) in ("word", "text"):
            self._at += 1
            name += "." + self._name("the name of a property")
        return name

    def _comparison(self) -> tuple[Any, Any]:
        if self._peek() in ("=", "!=", ">", ">=", "<", "<="):
            op = self._next().text
            return op, self._value()
        self._take("is")
        for phrase in _PHRASES:
            if self._take(*phrase.split()):
                op = phrase.removeprefix("is ")
                return op, self._operand(op)
        raise self._error(
            "expected a comparison, such as = != > >= < <= contains, starts with, exists, "
            'one of ("a", "b"), before 2026-01-31, within last 30 days'
        )

    def _operand(self, op: str) -> Any:
        if op in _NO_VALUE:
            return None
        if op in _LISTS:
            return self._list()
        if op in _SPANS:
            return self._span()
        if op in ("before", "after"):
            return self._date()
        return self._value()

    def _list(self) -> list[Any]:
        self._need("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._need(")")
        return values

    # Words ----------------------------------------------------------------------------------

    def _value(self) -> Any:
        token = self._next()
        if token.kind == "text":
            return _unquoted(token.text)
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "date":
            return token.text
        if token.text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token.text]
        self._at -= 1
        raise self._error(
            'expected a value: "text" in double quotes, a number, true, false or null'
        )

    def _name(self, what: str) -> str:
        token = self._next(what)
        if token.kind == "text":
            return _unquoted(token.text)
        if token.kind == "word":
            return token.text
        self._at -= 1
        raise self._error(f"expected {what}")

    def _span(self) -> int:
        amount = self._number()
        return round(amount * self._unit())

    def _unit(self) -> int:
        token = self._next("a unit of time")
        seconds = UNITS.get(token.text.removesuffix("s"))
        if seconds is None:
            self._at -= 1
            raise self._error("expected a unit of time: seconds, minutes, hours, days or weeks")
        return seconds

    def _date(self) -> str:
        token = self._next("a date")
        text = _unquoted(token.text) if token.kind == "text" else token.text
        if moment(text) is None:
            self._at -= 1
            raise self._error("expected a date such as 2026-01-31, or a moment such as "
                       "2026-01-31T18:00:00Z with its zone")  # fmt: skip
        return text

    def _sign(self) -> Any:
        if self._peek() in ("=", "!=", ">", ">=", "<", "<="):
            return self._next().text
        raise self._error("expected = != > >= < or <=")

    def _number(self) -> int | float:
        if self._kind() != "number":
            raise self._error("expected a number")
        return _number(self._next().text)

    def _whole(self) -> int:
        number = self._number()
        if not isinstance(number, int) or number < 0:
            self._at -= 1
            raise self._error("expected a whole number that is not negative")
        return number

    # Tokens ---------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _kind(self, further: int = 0) -> str:
        index = self._at + further
        return self._tokens[index].kind if index < len(self._tokens) else ""

    def _take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [one.text if one.kind != "text" else "" for one in ahead] != list(words):
            return False
        self._at += len(words)
        return True

    def _next(self, what: str = "something more") -> _Token:
        if self._at >= len(self._tokens):
            raise self._error(f"expected {what}, and the text ends")
        self._at += 1
        return self._tokens[self._at - 1]

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._error(f"expected `{word}`")

    def expect_end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise self._error("expected `and`, `or`, or the end")

    def _error(self, what: str) -> FqlError:
        tokens = self._tokens
        position = tokens[self._at].position if self._at < len(tokens) else len(self._text)
        return FqlError(what, self._text, position)


def _tokens(text: str) -> Sequence[_Token]:
    found: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise FqlError("can't be read; names with spaces stand in double quotes", text, start)
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return found


def _unquoted(text: str) -> str:
    try:
        return str(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return text[1:-1]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
