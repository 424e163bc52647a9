"""How JSON values become text, truth and numbers in a mapping: by the rules of JavaScript.

The mapping language grew up there, and what it makes of a number in a template, or counts as
blank, shows in what tools receive.
"""

from __future__ import annotations

import re
from typing import Any, Final, final

import msgspec

__all__ = [
    "UNDEFINED",
    "Json",
    "article",
    "is_blank",
    "is_true",
    "json_text",
    "number_in",
    "text_of",
    "trim",
    "type_name",
    "utf16_length",
]

Json = Any

_SPACES = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_TEXT_OF_CONSTANT = {None: "null", True: "true", False: "false"}


@final
class _Undefined:
    """The one value that says: there is nothing here, not even null."""

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = _Undefined()
"""What a mapping gives where it finds nothing; the key is then left out."""


def type_name(value: Json) -> str:
    """One of undefined, null, boolean, number, string, array, object."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def article(name: str) -> str:
    """``name`` after a or an, as in 'an object'."""
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def is_true(value: Json) -> bool:
    """False for undefined, null, false, 0 and ""; an empty list or object is true."""
    return bool(value) or isinstance(value, list | dict)


def is_blank(value: Json) -> bool:
    """True for undefined, null, "", 0, false, and lists that hold nothing to print."""
    if isinstance(value, list):
        return not text_of(value)
    return not is_true(value)


def text_of(value: Json) -> str:
    """The text that a template shows for it; lists are joined by commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, list):
        return ",".join(
            "" if item is None or item is UNDEFINED else text_of(item) for item in value
        )
    if isinstance(value, dict):
        return "[object Object]"
    if value is None or isinstance(value, bool):
        return _TEXT_OF_CONSTANT[value]
    return "undefined" if value is UNDEFINED else str(value)


def json_text(value: Json) -> str:
    """``value`` as JSON without spaces. Undefined members are left out; in lists they are null."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, dict):
        members = (
            f"{json_text(key)}:{json_text(item)}"
            for key, item in value.items()
            if item is not UNDEFINED
        )
        return "{" + ",".join(members) + "}"
    return "null" if value is UNDEFINED else text_of(value)


def number_in(text: str) -> int | float | None:
    """The number that ``text`` is, in whole; None when it is none. Only spaces: 0."""
    inner = text.strip(_SPACES)
    if not inner:
        return 0
    if _DECIMAL.fullmatch(inner):
        number = float(inner)
        if number in (float("inf"), float("-inf")):
            return None
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return int(inner, 0) if _RADIX.fullmatch(inner) else None


def trim(text: str) -> str:
    """``text`` without the spaces around it."""
    return text.strip(_SPACES)


def utf16_length(text: str) -> int:
    """How many UTF-16 units ``text`` has: the length that JavaScript knows."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _float_text(number: float) -> str:
    if number.is_integer() and abs(number) < 1e21:
        return str(int(number))
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa
    power = int(exponent)
    if power in (-5, -6):
        return f"{number:.{len(mantissa.replace('.', '').lstrip('-')) - 1 - power}f}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"
