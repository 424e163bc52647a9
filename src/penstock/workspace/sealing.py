"""Secrets of destinations and functions, encrypted in the state store with a key kept apart.

The key is a file of its own, readable by its owner only and made when the first secret is stored.
Who gets hold of the state store, or of a backup without the key, has no secret of any tool. A file
with several keys, one a line, encrypts with the first and reads with all: so a key is replaced.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

__all__ = ["KEY_NAME", "MASK", "Seal"]

KEY_NAME = "secret.key"
"""Name of the key's file in the data folder."""
MASK = "********"
"""Stands for a secret wherever it is shown; sent back, it means the secret that is stored."""


class Seal:
    """Encrypts and decrypts with the key in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def close_up(self, value: Any) -> str:
        """The value as text that only the key opens. Makes the key when there is none."""
        if not self._file.exists():
            _make_key(self._file)
        return self._keys().encrypt(msgspec.json.encode(value)).decode()

    def open_up(self, sealed: str) -> Any:
        """What was closed up. Raises ConfigurationError when the key is missing or another."""
        from cryptography.fernet import InvalidToken

        if not self._file.exists():
            raise ConfigurationError(
                f"the key of the stored secrets is missing: put it back as {self._file}, or set "
                "the secrets again"
            )
        try:
            return msgspec.json.decode(self._keys().decrypt(sealed.encode()))
        except InvalidToken as error:
            raise ConfigurationError(
                f"{self._file} is not the key that the secrets were stored with: put that one "
                "back, or set the secrets again"
            ) from error

    def opens_to(self, sealed: str, value: Any) -> bool:
        """Whether this is what was closed up; False when that can't be told."""
        try:
            return bool(self.open_up(sealed) == value)
        except ConfigurationError:
            return False

    def _keys(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet  # takes memory that few roles need

        try:
            lines = self._file.read_text(encoding="ascii").split()
            if not lines:
                raise ValueError("it is empty")
            return MultiFernet([Fernet(line) for line in lines])
        except ValueError as error:
            raise ConfigurationError(
                f"{self._file} is no key: a key is 32 bytes in URL-safe Base64, one a line"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"can't read {self._file}: {error.strerror}") from error


def _make_key(file: Path) -> None:
    """Leave a new key durably, unless somebody else does so first."""
    from cryptography.fernet import Fernet

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # of mode 0600
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(Fernet.generate_key() + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        try:
            file.hardlink_to(made)  # unlike a rename, it does not take the place of another
        except FileExistsError:
            return
    finally:
        made.unlink()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
