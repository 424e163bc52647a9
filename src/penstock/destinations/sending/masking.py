"""Takes secrets out of what is shown, in every form in which a request may carry them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from penstock.destinations.contract import Destination, Settings

__all__ = ["MASK", "Masker", "masker", "secrets_of"]

MASK = "***"
_SHORT = 6
"""Characters below which a secret is masked only where it stands alone."""
_HIDDEN_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_USER_INFO = re.compile(r"(?<=://)[^/?#@\s]+(?=@)")


class Masker:
    """Replaces secrets by ``***``.

    Each is found as it is, escaped in JSON, encoded for a URL or form, and within base64 at
    any offset, so that basic authentication does not show it either.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(_pattern, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def url(self, url: str) -> str:
        """The URL without secrets and without a user's name and password."""
        return _USER_INFO.sub(MASK, self.text(url))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers; what authorises keeps only its scheme."""
        return {
            name: _scheme(value) if name.lower() in _HIDDEN_HEADERS else self.text(value)
            for name, value in headers.items()
        }

    def finds(self, text: str) -> bool:
        """Whether a secret is in it."""
        return self._pattern is not None and self._pattern.search(text) is not None


def masker(definition: Destination, settings: Settings, *tokens: str) -> Masker:
    """A masker of a destination's secret settings and tokens."""
    return _masker((*secrets_of(definition, settings), *filter(None, tokens)))


def secrets_of(definition: Destination, settings: Settings) -> tuple[str, ...]:
    """The texts in the secret settings, in the order of the settings."""
    return tuple(
        text
        for setting in definition.settings
        if setting.secret
        for text in _texts(settings.get(setting.key))
    )


@lru_cache(maxsize=256)
def _masker(secrets: tuple[str, ...]) -> Masker:
    return Masker(secrets)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    if secret != secret.strip():
        yield from _forms(secret.strip())
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    if len(secret) >= _SHORT:
        yield from _base64_forms(secret.encode())


def _base64_forms(secret: bytes) -> Iterator[str]:
    """What all base64 texts have in common that hold the secret at one of the three offsets."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret).decode().rstrip("=")
        first = (0, 2, 3)[offset]
        last = len(encoded) - (1 if (offset + len(secret)) % 3 else 0)
        core = encoded[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORT else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"


def _scheme(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space else MASK
