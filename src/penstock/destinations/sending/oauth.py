"""Access tokens by OAuth 2: kept while they last, renewed by one at a time."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote_plus

from penstock.destinations.contract import Answer, OAuth2, Refused, Request, Settings
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.outcome import is_retriable
from penstock.destinations.sending.wire import Wire, encode

__all__ = ["FixedToken", "TokenSource", "Tokens"]

_EARLY = 60.0
"""Seconds before its end at which a token is no longer used."""


class TokenSource(Protocol):
    """Where an access token comes from."""

    async def current(self) -> str:
        """The token; it may be asked for first. Raises Refused."""
        ...

    async def renew(self, stale: str) -> str:
        """Another token than ``stale``, which was answered 401. Raises Refused."""
        ...


class Http(Protocol):
    """What sends the request for a token."""

    async def send(
        self, wire: Wire, timeout: float, mask: Callable[[], Masker] | None = None
    ) -> Answer:
        """As HttpSender does."""
        ...


class FixedToken:
    """A token that is given, and can't be renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def current(self) -> str:
        """The token."""
        return self._token

    async def renew(self, stale: str) -> str:
        """The same: the 401 stands."""
        return stale


class Tokens:
    """The token of one destination. Make one per destination and keep it: it is the cache."""

    def __init__(
        self,
        oauth: OAuth2,
        settings: Settings,
        http: Http,
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        rotated: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """``rotated`` is told a new refresh token, where the tool gives one: it must be kept, the
        old one may be void."""
        self._oauth = oauth
        self._settings = dict(settings)
        self._http = http
        self._timeout = timeout
        self._clock = clock
        self._rotated = rotated
        self._token = ""
        self._until = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def current(self) -> str:
        """The token, asked for when there is none that lasts."""
        if not self._lasts():
            async with self._one_at_a_time:
                if not self._lasts():
                    await self._ask()
        return self._token

    async def renew(self, stale: str) -> str:
        """A new token, unless somebody else has already had ``stale`` replaced."""
        async with self._one_at_a_time:
            if self._token == stale or not self._lasts():
                await self._ask()
            return self._token

    def _lasts(self) -> bool:
        return bool(self._token) and self._clock() < self._until

    async def _ask(self) -> None:
        secrets = [str(self._settings.get(key) or "") for key in _CREDENTIALS]
        asked = self._clock()
        answer = await self._http.send(
            encode(self._request()), self._timeout, lambda: Masker(secrets)
        )
        granted = answer.json()
        if not 200 <= answer.status < 300 or not _holds_token(granted):
            raise _denied(answer, granted)
        self._token = granted["access_token"]
        lasts = _number(granted.get("expires_in"), 3600.0)
        self._until = asked + max(lasts - _EARLY, lasts / 2)
        renewed = granted.get("refresh_token")
        if isinstance(renewed, str) and renewed and renewed != self._settings.get("refresh_token"):
            self._settings["refresh_token"] = renewed
            if self._rotated is not None and self._oauth.grant == "refresh_token":
                await self._rotated(renewed)

    def _request(self) -> Request:
        oauth, settings = self._oauth, self._settings
        form: dict[str, str] = {"grant_type": oauth.grant}
        if oauth.scope:
            form["scope"] = oauth.scope
        for key in _FORMS[oauth.grant]:
            form[key] = str(settings.get(key) or "")
        headers = {"accept": "application/json"}
        identity = {key: str(settings.get(key) or "") for key in ("client_id", "client_secret")}
        if oauth.basic:
            pair = ":".join(quote_plus(value) for value in identity.values())
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form.update(identity)
        return Request("POST", _address(oauth.token_url, settings), headers, form=form)


_CREDENTIALS = ("client_id", "client_secret", "refresh_token", "username", "password")
_FORMS: Mapping[str, tuple[str, ...]] = {
    "refresh_token": ("refresh_token",),
    "client_credentials": (),
    "password": ("username", "password"),
}


def _address(template: str, settings: Settings) -> str:
    try:
        return template.format_map(settings)
    except KeyError as error:
        raise Refused(
            401, f"setting {error.args[0]} is missing: no token can be asked for", _DENIED
        ) from error


def _holds_token(granted: Any) -> bool:
    return isinstance(granted, dict) and isinstance(granted.get("access_token"), str)


def _number(value: Any, otherwise: float) -> float:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return otherwise


_DENIED = "INVALID_AUTHENTICATION"
_BUSY = "token request is already being processed"
"""What Salesforce says, with status 400, to one of two who renew a token at the same time."""


def _denied(answer: Answer, granted: Any) -> Refused:
    """A refusal that can't be helped by trying again is one of the credentials."""
    said = granted.get("error_description") or granted.get("error") if _is_object(granted) else ""
    told = f": {said}" if isinstance(said, str) and said else ""
    if is_retriable(answer.status) or said == _BUSY:
        status = answer.status if is_retriable(answer.status) else 503
        return Refused(status, f"no access token was given{told}", answer=answer)
    return Refused(401, f"no access token was given ({answer.status}){told}", _DENIED, answer)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
