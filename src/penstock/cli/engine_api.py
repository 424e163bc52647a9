"""The management API as commands call it: of the engine that runs here, or of another machine."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import msgspec
import typer

from penstock.engine import running_settings
from penstock.errors import (
    ConfigurationError,
    EngineUnreachable,
    NotFound,
    PenstockError,
    QueryRefused,
)
from penstock.settings import Settings

__all__ = ["EngineApi", "UrlOption", "local_api", "remote_api", "with_query"]

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="<url>",
        help="Penstock elsewhere, such as https://cdp.example.com; needs PENSTOCK_TOKEN.",
    ),
]
_BASE = "/api/v1"
_JSON = "application/json"
_LIMIT_S = 30.0
_QUIET_S = 60.0
"""A stream of events says something more often."""


class EngineApi:
    """One Penstock's API."""

    def __init__(self, url: str, token: str) -> None:
        """Raises ConfigurationError when it is no address of HTTP."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{url} is no address such as https://cdp.example.com")
        self._url = url
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises EngineUnreachable, or the error that the answer is."""
        content = self.fetch(method, path, body)
        return msgspec.json.decode(content) if content else None

    def fetch(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        accept: str = _JSON,
        timeout: float = _LIMIT_S,
    ) -> bytes:
        """The answer as it comes. Raises EngineUnreachable, or the error that the answer is."""
        headers = {"Accept": accept, "Authorization": f"Bearer {self._token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = _JSON
            try:
                content = msgspec.json.encode(body)
            except UnicodeEncodeError as error:
                raise ConfigurationError("what is sent is not Unicode text") from error
        connection = self._connection(timeout)
        try:
            connection.request(method, f"{self._prefix}{_BASE}{path}", content, headers)
            answer = connection.getresponse()
            received = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnreachable(f"{self._url} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _error(self._url, answer.status, received)
        return received

    def events(self, path: str) -> Iterator[tuple[str, bytes]]:
        """Name and data of each server-sent event, as they come, until the other side ends.

        A comment, by which the other side shows that it is there, has neither.
        Raises EngineUnreachable, or the error that the answer is.
        """
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self._token}"}
        with closing(self._connection(_QUIET_S)) as connection:
            try:
                connection.request("GET", f"{self._prefix}{_BASE}{path}", headers=headers)
                answer = connection.getresponse()
                if answer.status >= 400:
                    raise _error(self._url, answer.status, answer.read())
                name = ""
                for line in answer:
                    field, _, value = line.rstrip(b"\r\n").partition(b": ")
                    if field == b"event":
                        name = value.decode()
                    elif field == b"data":
                        yield name, value
                    elif line.startswith(b":"):
                        yield "", b""
            except (OSError, http.client.HTTPException) as error:
                raise EngineUnreachable(f"{self._url} does not answer: {error}") from error

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def with_query(path: str, **values: object) -> str:
    """A path with a query of those values that are not None."""
    given = {name: value for name, value in values.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def remote_api(
    url: str | None, data: Path | None, environment: Mapping[str, str] = os.environ
) -> EngineApi | None:
    """The Penstock that ``--url`` or PENSTOCK_URL names; a folder that is given comes before this.

    Raises ConfigurationError when there is no token for it.
    """
    if url is None and data is None:
        url = environment.get("PENSTOCK_URL") or None
    if url is None:
        return None
    token = environment.get("PENSTOCK_TOKEN", "")
    if not token:
        raise ConfigurationError(f"set PENSTOCK_TOKEN to a token of {url}")
    return EngineApi(url, token)


def local_api(settings: Settings) -> EngineApi | None:
    """The API of the engine that runs on this folder; None when there is none to be had."""
    running = running_settings(settings)
    if running is None or not running.console_port:
        return None
    try:
        token = settings.token_file.read_text(encoding="utf-8").strip()
    except OSError:
        return None  # it starts, or ends, just now
    known = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    host = known.get(running.console_host, running.console_host)
    host = f"[{host}]" if ":" in host else host
    return EngineApi(f"http://{host}:{running.console_port}", token)


def _error(url: str, status: int, content: bytes) -> PenstockError:
    """The error that an answer stands for."""
    try:
        told = msgspec.json.decode(content)["error"]
        code, message = str(told["code"]), str(told["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return EngineUnreachable(f"{url} answers {status}, and not as Penstock does")
    if code.startswith("sql_"):
        return QueryRefused(message, code)
    if code == "not_found":
        return NotFound(message)
    if code in ("refused", "invalid_request", "exists"):
        return ConfigurationError(message)
    if code == "unavailable":
        return EngineUnreachable(message)
    return PenstockError(f"{url}: {message}")
