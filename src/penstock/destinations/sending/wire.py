"""What goes over the wire for a Request, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from penstock import __version__
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    FileWrite,
    Request,
    StreamSend,
)
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.outcome import Exchange

__all__ = ["Wire", "encode", "shown"]

USER_AGENT = f"Penstock/{__version__}"
_SHOWN = 16 * 1024
"""Characters of a body that are kept for people."""
_SHOWN_MESSAGES = 5


class Wire(NamedTuple):
    """An HTTP request, ready to go."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


def encode(request: Request) -> Wire:
    """Encode body and query. Headers of the request win over those that follow from its body."""
    url = request.url
    if request.query:
        url, fragment, rest = url.partition("#")
        url += ("&" if "?" in url else "?") + urlencode(request.query) + fragment + rest
    body, content_type = _body(request)
    headers = {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    if content_type:
        headers["content-type"] = content_type
    for name in request.headers:
        headers.pop(name.lower(), None)
    headers.update(request.headers)
    return Wire(request.method.upper(), url, headers, body)


def shown(
    built: BuiltRequest,
    mask: Masker,
    *,
    answer: Answer | None = None,
    error: str = "",
    duration: float = 0.0,
) -> Exchange:
    """The record of a request and its answer, for people; as it stands when not sent yet."""
    kind, method, url, headers, body = _described(built, mask)
    return Exchange(
        kind,
        method,
        mask.url(url),
        mask.headers(headers),
        _cut(body, mask),
        answer.status if answer else 0,
        mask.headers(answer.headers) if answer else {},
        _cut(answer.body, mask) if answer else "",
        mask.text(error),
        duration,
        None if built.items is None else list(built.items),
    )


def _body(request: Request) -> tuple[bytes | None, str]:
    if request.json is not None:
        return msgspec.json.encode(request.json), "application/json"
    if request.form is not None:
        return urlencode(request.form).encode(), "application/x-www-form-urlencoded"
    return request.body, ""


def _described(built: BuiltRequest, mask: Masker) -> tuple[str, str, str, Mapping[str, str], bytes]:
    if isinstance(built, Request):
        wire = encode(built)
        return "http", wire.method, wire.url, wire.headers, wire.body or b""
    if isinstance(built, FileWrite):
        body = built.body if _is_text(built.body) else f"({len(built.body)} bytes)".encode()
        return "file", "PUT", f"{built.store.rstrip('/')}/{built.name}", {}, body
    return "stream", "SEND", f"kafka://{built.brokers}/{built.topic}", {}, _messages(built)


def _messages(built: StreamSend) -> bytes:
    lines = []
    for key, value, headers, partition in built.messages[:_SHOWN_MESSAGES]:
        described = {
            "key": None if key is None else key.decode(errors="replace"),
            "headers": dict(headers),
            "partition": partition,
            "value": value.decode(errors="replace"),
        }
        lines.append(msgspec.json.encode(described))
    more = len(built.messages) - _SHOWN_MESSAGES
    return b"\n".join([*lines, *([f"and {more} more".encode()] if more > 0 else [])])


def _is_text(body: bytes) -> bool:
    try:
        body[:1024].decode()
    except UnicodeDecodeError as error:
        return error.start > len(body[:1024]) - 4
    return b"\0" not in body[:1024]


def _cut(body: bytes, mask: Masker) -> str:
    """The start of a body. It is masked before it is cut, lest half a secret stays."""
    text = mask.text(body[: 2 * _SHOWN].decode(errors="replace"))
    if len(text) <= _SHOWN and len(body) <= 2 * _SHOWN:
        return text
    return f"{text[:_SHOWN]}… ({len(body)} bytes in all)"
