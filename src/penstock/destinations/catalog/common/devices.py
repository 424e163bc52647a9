"""Devices of apps, as tools that attribute installs know them."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Platform", "advertising_id", "platform_of"]

Platform = Literal["ios", "android", ""]

_APPLE = frozenset({"ios", "ipados", "tvos", "watchos", "visionos", "iphone os"})
_NOBODY = re.compile("[0-]*")


def platform_of(name: str) -> Platform:
    """The family of a device's type or operating system; empty for those that have no app ids."""
    word = name.strip().lower()
    if word in _APPLE:
        return "ios"
    return "android" if word == "android" else ""


def advertising_id(text: str) -> str:
    """The id; empty for the zeros that devices tell whose owner does not want to be followed."""
    return "" if _NOBODY.fullmatch(text.strip()) else text.strip()
