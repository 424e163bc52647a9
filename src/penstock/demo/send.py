"""Sending simulated events through the real tracking API, over one kept-alive connection."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import DemoError

MAX_REQUEST_BYTES = 450_000
"""A request body stays below this many bytes, before compression."""
MAX_EVENT_BYTES = 32_000
"""One event stays below this many bytes."""
MAX_BATCH = 500
"""Most events in one request."""

_ATTEMPTS = 8
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class SendResult:
    """What was sent; every event was accepted with status 200."""

    events: int
    requests: int
    """Requests answered with 200."""
    retries: int
    bytes: int
    """Of JSON, before compression."""


def send(
    events: Iterable[Mapping[str, Any]],
    url: str,
    write_key: str,
    on_progress: Callable[[int], None],
    batch_size: int = MAX_BATCH,
    *,
    compress: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> SendResult:
    """POST the events to `{url}/v1/batch`, in order, until each is accepted.

    `on_progress` gets the number of events each request added. Answers 429 and 5xx and broken
    connections are tried again with the same body (so the same messageIds: nothing is stored
    twice), pausing as `Retry-After` asks. Anything else raises `DemoError`.
    """
    if not 1 <= batch_size <= MAX_BATCH:
        raise DemoError(f"the batch size must lie between 1 and {MAX_BATCH}, not {batch_size}")
    wire = _Wire(url, compress, sleep)
    sent = requests = size = 0
    try:
        for count, body in _bodies(events, write_key, batch_size):
            wire.deliver(body)
            sent, requests, size = sent + count, requests + 1, size + len(body)
            on_progress(count)
    finally:
        wire.close()
    return SendResult(sent, requests, wire.retries, size)


def _bodies(
    events: Iterable[Mapping[str, Any]], write_key: str, batch_size: int
) -> Iterator[tuple[int, bytes]]:
    """Cut the events into request bodies, each within the tracking API's limits."""
    head = b'{"writeKey":%s,"batch":[' % json.dumps(write_key).encode()
    batch: list[bytes] = []
    size = len(head) + 2
    for event in events:
        item = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        if len(item) >= MAX_EVENT_BYTES:
            raise DemoError(f"event {event.get('messageId')} is too large: {len(item)} bytes")
        if len(batch) == batch_size or size + len(item) + 1 >= MAX_REQUEST_BYTES:
            yield len(batch), head + b",".join(batch) + b"]}"
            batch, size = [], len(head) + 2
        batch.append(item)
        size += len(item) + 1
    if batch:
        yield len(batch), head + b",".join(batch) + b"]}"


class _Wire:
    """One connection to the collector that mends itself."""

    def __init__(self, url: str, compress: bool, sleep: Callable[[float], None]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DemoError(f"not an http address: {url}")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)
        self._path = parts.path.rstrip("/") + "/v1/batch"
        self._url = url
        self._compress = compress
        self._sleep = sleep
        self.retries = 0

    def close(self) -> None:
        self._connection.close()

    def deliver(self, body: bytes) -> None:
        """Send one body until it is accepted; raise `DemoError` when that is hopeless."""
        headers = {"Content-Type": "application/json"}
        if self._compress:
            body = gzip.compress(body, compresslevel=3)
            headers["Content-Encoding"] = "gzip"
        trouble = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.retries += 1
            pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
            try:
                status, asked, text = self._post(body, headers)
            except (OSError, HTTPException) as error:
                self._connection.close()
                trouble = f"{type(error).__name__}: {error}"
            else:
                if status == 200:
                    return
                trouble = f"status {status}: {text}"
                if status != 429 and status < 500:
                    raise DemoError(f"{self._url} refused the events with {trouble}")
                pause = pause if asked is None else min(asked, _LONGEST_PAUSE)
            if attempt < _ATTEMPTS - 1:
                self._sleep(pause)
        raise DemoError(
            f"{self._url} did not accept the events after {_ATTEMPTS} attempts ({trouble})"
        )

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, float | None, str]:
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        text = response.read().decode("utf-8", "replace")[:200]
        return response.status, _retry_after(response), text


def _retry_after(response: HTTPResponse) -> float | None:
    """Seconds the server asks to wait; the header holds seconds or a date."""
    value = response.getheader("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
