"""The management API as a client calls it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The content as JSON; None when there is none."""
        return json.loads(self.content) if self.content else None

    @property
    def code(self) -> str:
        """Code of the error; checks its shape."""
        assert list(self.body) == ["error"]
        error = self.body["error"]
        assert set(error) == {"code", "message", "detail"} and error["message"]
        return str(error["code"])


@dataclass(frozen=True)
class Client:
    """Calls one API with one token, cookie or nothing."""

    url: str
    token: str = ""
    cookie: str = ""

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request; ``body`` is sent as JSON, ``raw`` as it is."""
        sent = {"Content-Type": "application/json"} if body is not None or raw else {}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.cookie:
            sent["Cookie"] = f"penstock_session={self.cookie}"
        content = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        try:
            target = path if path.startswith(("/api", "/v1/")) else f"/api/v1{path}"
            connection.request(method, target, content, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def with_token(self, token: str) -> Client:
        """The same API for somebody else."""
        return Client(self.url, token)
