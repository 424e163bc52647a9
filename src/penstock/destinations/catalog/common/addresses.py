"""Addresses of mail, as far as tools refuse those that can't be."""

from __future__ import annotations

import re

from penstock.destinations.catalog.common.hashing import strip
from penstock.destinations.contract import InvalidPayload

__all__ = ["is_mail_address", "mail_address"]

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def is_mail_address(text: str) -> bool:
    """Whether the text, spaces around it aside, has the form of an address."""
    return _ADDRESS.fullmatch(strip(text)) is not None


def mail_address(text: str) -> str:
    """The address without spaces around it, letters as they are. Raises InvalidPayload."""
    if not is_mail_address(text):
        raise InvalidPayload("email is no address of mail")
    return strip(text)
