"""The pixel: events from places that can only load an image."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl

import msgspec

__all__ = ["GIF", "pixel_body"]

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent image of one pixel."""
_DEEPEST = 100


def pixel_body(query: bytes) -> bytes:
    """The event of a pixel request as JSON, from ``data`` or from dotted query parameters.

    ``data`` is base64 in either alphabet, with or without padding. Raises ValueError when it is
    not base64, or when the parameters don't make an object.
    """
    pairs = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
    for name, value in pairs:
        if name == "data":
            return _decode(value)
    event: dict[str, Any] = {}
    for name, value in pairs:
        _put(event, name.split("."), value)
    return msgspec.json.encode(event)


def _decode(text: str) -> bytes:
    standard = text.strip().replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"`data` is not base64: {error}") from error


def _put(target: dict[str, Any], path: list[str], value: str) -> None:
    if len(path) > _DEEPEST:
        raise ValueError(f"a parameter may have {_DEEPEST} parts, not {len(path)}")
    for depth, part in enumerate(path[:-1], 1):
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ValueError(f"{'.'.join(path[:depth])!r} is both a value and an object")
    if isinstance(target.get(path[-1]), dict):
        raise ValueError(f"{'.'.join(path)!r} is both a value and an object")
    target[path[-1]] = value
