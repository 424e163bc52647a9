"""Random requests: good, almost good, and rubbish."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS
from tests.ingest.collecting import SOURCES, basic

KEYS = [*SOURCES, "web-key", "web-key", "who", ""]
FIELDS = [
    "type", "messageId", "userId", "anonymousId", "groupId", "previousId", "event", "name",
    "category", "properties", "traits", "context", "integrations", "timestamp",
    "originalTimestamp", "sentAt", "receivedAt", "channel", "version", "projectId", "_metadata",
    "writeKey", "email", "batch", "\\u0074ype", "x\\ud83d", "",
]  # fmt: skip
CALL_NAMES = ['"track"', '"identify"', '"page"', '"screen"', '"group"', '"alias"', '"Track"']
SCALARS = [
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "0.1", "1e5", "1E+400", "1e999", "-1e999",
    "1e-999", "9" * 400, "-" + "9" * 400, "9" * 5000, "9223372036854775808", "0." + "3" * 400,
    '""', '"x"', '"u1"', '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83d\\ude00"', '"\\u0000"',
    '"\\\\\\ud83d"', '"ü"', '"\\/"', '"2026-01-05T10:00:00.120Z"', '"2015-2-02T00:30:12.984Z"',
    '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', "1767607200120", '"soon"',
    '"Segment Consent Preference Updated"', '"[{"', '"]}"', '","', '"\\""',
]  # fmt: skip
NOT_JSON = [
    "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "'x'", '"\\q"', '"\\u12"', '"\x01"',
    '"\x00"', "tru", "undefined", "", ",", "{", "]", '"', "/*x*/1", "\x00",
]  # fmt: skip
CONTEXTS = [
    '{"ip":"0.0.0.0"}', '{"direct":true}', '{"direct":true,"big":1e999}', "{ }", '{"ip":null}',
    '{"device":{"advertisingId":5}}', '{"device":[]}', '{"consent":{"categoryPreferences":{}}}',
    '{"consent":{"categoryPreferences":{"a":1e999},"version":1e999}}', '{"consent":[1e999]}',
    '{"page":{"url":"https://tea.test"},"locale":"no"}', '{"\\ud83d":{"\\u0069p":1}}',
]  # fmt: skip
DEPTHS = [10, 100, 798, 799, 800, 801, 900, 950, 980, 1000, 1100, 5000]
METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"]
OTHER_PATHS = [
    *PIXEL_CALLS, "/v1/m", "/v1/projects/web-key/settings", "/v1/projects/who/settings",
    "/v1/projects//settings", "/health", "/ready", "/metrics", "/", "", "//", "/v1/\x00", "/v1/ü",
    "/v1/\ufffd", "/v1/track/track",
]  # fmt: skip
AUTHORIZATIONS = ["Bearer x", "Basic", "Basic =", "Basic w6k", "Basic " + "A" * 70_000, "\xff"]
ENCODINGS = ["gzip", "GZIP ", "deflate", "identity", "br", "gzip,gzip", "\xff"]


@dataclass(frozen=True)
class Sent:
    """A request, and what its body unpacks to when it unpacks."""

    method: str
    path: str
    headers: dict[str, str]
    query: bytes
    body: bytes
    plain: bytes | None


def random_request(rng: Random) -> Sent:
    """Any request."""
    path = rng.choice(list(POST_CALLS))
    method = "POST"
    if rng.random() < 0.15:
        path = rng.choice(OTHER_PATHS)
        method = rng.choice(["GET", "GET", "POST", *METHODS])
    elif rng.random() < 0.03:
        method = rng.choice(METHODS)
    plain: bytes | None = _body(rng, POST_CALLS.get(path) == "batch")
    assert plain is not None
    headers, body = _headers(rng), plain
    if rng.random() < 0.15:
        body, encoding, intact = _packed(rng, plain)
        headers["content-encoding"] = encoding
        plain = plain if intact else None
    if path in PIXEL_CALLS:
        return Sent(method, path, headers, _pixel_query(rng, body), b"", None)
    query = b"writeKey=web-key&x" if rng.random() < 0.05 else b""
    return Sent(method, path + ("/" if rng.random() < 0.1 else ""), headers, query, body, plain)


def _headers(rng: Random) -> dict[str, str]:
    headers: dict[str, str] = {}
    if rng.random() < 0.7:
        headers["authorization"] = basic(rng.choice(KEYS) + rng.choice([":", ""]))
    elif rng.random() < 0.3:
        headers["authorization"] = rng.choice(AUTHORIZATIONS)
    if rng.random() < 0.2:
        headers["origin"] = rng.choice(["https://shop.test", "null", "", "x" * 60_000, "\xff"])
    if rng.random() < 0.1:
        headers["x-forwarded-for"] = rng.choice(["1.2.3.4", "1.2.3.4:5, ::1", "x", ",", "[::1"])
    if rng.random() < 0.1:
        headers["access-control-request-headers"] = rng.choice(["authorization", "\xff", ""])
    if rng.random() < 0.1:
        headers["content-type"] = rng.choice(["text/plain", "image/gif", "\xff"])
    return headers


def _packed(rng: Random, plain: bytes) -> tuple[bytes, str, bool]:
    """(bytes, Content-Encoding, whether they unpack to the body again)."""
    way = rng.randrange(6)
    if way == 0:
        return gzip.compress(plain, 1), "gzip", True
    if way == 1:
        return zlib.compress(plain, 1), "deflate", True
    if way == 2:
        packed = gzip.compress(plain, 1)
        return packed[: rng.randrange(1, len(packed))], "gzip", False
    if way == 3:
        return gzip.compress(plain[:9], 1) + gzip.compress(plain[9:], 1), "x-gzip", True
    if way == 4:
        return gzip.compress(bytes(2_000_000), 1), "gzip", False
    return plain, rng.choice(ENCODINGS), False


def _pixel_query(rng: Random, body: bytes) -> bytes:
    if rng.random() < 0.5:
        return b"data=" + base64.b64encode(body[:3000]).rstrip(b"=" if rng.random() < 0.5 else b"")
    if rng.random() < 0.5:
        return b"writeKey=web-key&userId=u&event=X&properties.a=" + body[:50]
    return rng.choice([body[:2000], b"a." * 300 + b"b=1", b"a=1&a.b=2", b"%", b"data=%00"])


def _body(rng: Random, is_batch: bool) -> bytes:
    way = rng.random()
    if way < 0.05:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(12)))
    make: Callable[[Random], str] = _batch if is_batch == (rng.random() < 0.97) else _event
    body = make(rng).encode("utf-8", "surrogatepass")
    if way < 0.15:
        body = _mutated(rng, body)
    if way > 0.97:
        body = b"\xef\xbb\xbf" + body
    return body


def _mutated(rng: Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    way = rng.randrange(4)
    if way == 0:
        return body[:at]
    if way == 1:
        return body[:at] + body[at + rng.randrange(1, 5) :]
    if way == 2:
        return body[:at] + bytes([rng.randrange(256)]) + body[at:]
    return body[:at] + rng.choice([*SCALARS, *NOT_JSON]).encode() + body[at:]


def _batch(rng: Random) -> str:
    count = rng.choice([0, 1, 1, 2, 3, 5]) if rng.random() < 0.998 else rng.choice([2500, 2501])
    item = _event(rng) if count > 5 else ""
    items = [item or _item(rng) for _ in range(count)]
    glue = rng.choice([",", " ,\n"])
    fields = [f'"batch":[{glue.join(items)}]']
    if rng.random() < 0.5:
        fields.append(f'"writeKey":"{rng.choice(KEYS)}"')
    for name in ("context", "integrations", "sentAt", "writeKey", "batch"):
        if rng.random() < 0.12:
            fields.append(f'"{name}":{_value(rng)}')
    if rng.random() < 0.1:
        fields.append(f'"context":{rng.choice(CONTEXTS)}')
    rng.shuffle(fields)
    return "{" + ",".join(fields) + "}"


def _item(rng: Random) -> str:
    return _event(rng) if rng.random() < 0.9 else _value(rng)


def _event(rng: Random) -> str:
    fields: list[str] = []
    if rng.random() < 0.95:
        fields.append(f'"type":{rng.choice(CALL_NAMES)}')
    if rng.random() < 0.9:
        fields.append('"userId":"u1","event":"Tea Poured","groupId":"g1"')
    if rng.random() < 0.5:
        fields.append(f'"context":{rng.choice(CONTEXTS)}')
    if rng.random() < 0.3:
        fields.append(f'"writeKey":"{rng.choice(KEYS)}"')
    for _ in range(rng.choice([0, 0, 0, 1, 1, 3])):
        fields.append(f'"{rng.choice(FIELDS)}":{_value(rng)}')
    if rng.random() < 0.005:
        fields.append('"properties":{' + ",".join(f'"p{i}":{i}' for i in range(2_600)) + "}")
    return "{" + ",".join(fields) + "}"


def _value(rng: Random, room: int = 3) -> str:
    way = rng.random()
    if way < 0.55 or room == 0:
        return rng.choice(SCALARS)
    if way < 0.56:
        return rng.choice(NOT_JSON)
    if way < 0.59:
        return _deep(rng)
    values = [_value(rng, room - 1) for _ in range(rng.randrange(4))]
    if way < 0.75:
        return "[" + ",".join(values) + "]"
    return "{" + ",".join(f'"{rng.choice(FIELDS)}":{value}' for value in values) + "}"


def _deep(rng: Random) -> str:
    levels = rng.choice(DEPTHS) if rng.random() < 0.98 else 100_000
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"batch":', "}]")])
    return opening * levels + "1" + closing * (levels if rng.random() < 0.95 else levels - 1)
