"""What a function may import: ``from penstock.functions import Event, Reject, Retry, Settings``.

A function is a Python file with handlers named after the calls::

    def on_track(event: Event, settings: Settings) -> Event | None:
        if event["event"] == "Heartbeat":
            return None  # drop it
        event["properties"]["shop"] = settings["shop"]
        return event

There are ``on_track``, ``on_identify``, ``on_page``, ``on_screen``, ``on_group`` and ``on_alias``;
``on_event`` is called for those that have no handler. A handler returns the event, None to drop it,
or a list of events. Calls without a handler pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Event", "Reject", "Response", "Result", "Retry", "Settings", "fetch"]

Event = dict[str, Any]
"""An event with the names of the tracking API: type, event, userId, properties, context ..."""
Settings = Mapping[str, Any]
"""The function's settings, secrets in clear."""
Result = Event | list[Event] | None
"""What a handler returns."""


class Retry(Exception):
    """The event can't be handled yet: before a destination it is tried again later."""


class Reject(Exception):
    """The event is refused; the text says why, to whoever looks at what was refused."""


@dataclass(frozen=True)
class Response:
    """What a host answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    def json(self) -> Any:
        """The body, read as JSON. Raises ValueError."""
        import json

        return json.loads(self.body)


Carrier = Callable[[str, str, Mapping[str, str], bytes], Response]
_carrier: list[Carrier] = []


def fetch(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    body: bytes = b"",
) -> Response:
    """Send a request to one of the hosts that the function's ``network`` names.

    Penstock sends it; the function itself has no network. Redirects are not followed. Raises
    OSError when the host is not named, or can't be reached in the time that the event has left.
    """
    if not _carrier:
        raise RuntimeError("fetch works only inside a function that Penstock runs")
    given = dict(headers or {})
    if json is not None:
        from json import dumps

        given.setdefault("content-type", "application/json")
        body = dumps(json).encode()
    return _carrier[0](method.upper(), url, given, body)
