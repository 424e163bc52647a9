"""Secrets: how they are made, and what is kept of them.

A token is 256 random bits, so nobody can find it by trying, and its SHA-256 is enough: a slow hash
would protect nothing and cost every request its time. A password is chosen by a person and can be
guessed, so it is kept as Argon2id, which makes each guess dear.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from functools import cache
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = [
    "SESSION_PREFIX",
    "TOKEN_PREFIX",
    "hashed",
    "hashed_password",
    "new_id",
    "new_secret",
    "new_write_key",
    "password_matches",
]

TOKEN_PREFIX = "pst_"
SESSION_PREFIX = "pss_"
_SHORTEST_PASSWORD = 12
_LONGEST_PASSWORD = 1024
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_hashing = threading.BoundedSemaphore(4)
"""Each hash takes 19 MB while it is made; who comes later waits."""


def new_id() -> str:
    """A name for a row, no secret."""
    return secrets.token_hex(8)


def new_secret(prefix: str) -> str:
    """A secret nobody can guess, of which only ``hashed`` is kept."""
    return prefix + secrets.token_urlsafe(32)


def new_write_key() -> str:
    """A write key nobody can guess; unlike a secret it is kept and shown."""
    return secrets.token_urlsafe(18)


def hashed(secret: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def hashed_password(password: str) -> str:
    """What is stored of a password. Raises ConfigurationError when it is too short or long."""
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise ConfigurationError(
            f"a password has {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD:,} characters"
        )
    with _hashing:
        return _hasher().hash(password.encode("utf-8", "surrogatepass"))


def password_matches(stored: str | None, password: str) -> bool:
    """Whether it is the password; takes as long when there is none to compare with."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        nobodys = _nobodys()
        with _hashing:
            matches = _hasher().verify(
                stored or nobodys, password[:_LONGEST_PASSWORD].encode("utf-8", "surrogatepass")
            )
    except (Argon2Error, InvalidHashError):
        return False
    return matches and stored is not None


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_bytes(32))
