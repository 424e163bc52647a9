"""A condition, however it was written."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.errors import ConfigurationError
from penstock.profiles.language.model import Condition
from penstock.profiles.language.text import parse
from penstock.profiles.language.writing import write

__all__ = ["condition_of", "tree_of"]


def condition_of(when: str | dict[str, Any]) -> Condition:
    """From text or from a tree. Raises ConfigurationError with the place of what is wrong."""
    if isinstance(when, str):
        return parse(when)
    try:
        written = _written(msgspec.convert(when, Condition))
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"when: {error}") from error
    except RecursionError as error:
        raise ConfigurationError("when: nested too deep") from error
    return parse(written)  # a tree may say no more than text may


def _written(condition: Condition) -> str:
    try:
        return write(condition)
    except (TypeError, AssertionError, ValueError) as error:
        raise ConfigurationError(
            "when: a value does not fit its operator: spans are whole seconds, lists are lists"
        ) from error


def tree_of(condition: Condition) -> dict[str, Any]:
    """A condition as a workspace file or a request has it."""
    tree: dict[str, Any] = msgspec.to_builtins(condition)
    return tree
