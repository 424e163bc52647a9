from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from penstock.destinations.contract import Answer, Refused
from penstock.destinations.sending import http
from penstock.destinations.sending.http import HttpSender
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.wire import Wire
from tests.destinations.sending.sinks import Asked, Sink, names, reply, script, sink

PATIENCE = 60.0


def post(url: str, body: bytes = b"{}", **headers: str) -> Wire:
    return Wire("POST", url, headers, body)


async def send(
    wire: Wire, *, timeout: float = PATIENCE, mask: Any = None, **options: Any
) -> Answer:
    sender = HttpSender(**{"allow_private": True, **options})
    try:
        return await sender.send(wire, timeout, mask)
    finally:
        await sender.close()


def refused(wire: Wire, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        asyncio.run(send(wire, **options))
    return caught.value


def with_sink(
    answer: Any, use: Callable[[Sink], Any], tls: ssl.SSLContext | None = None
) -> tuple[Any, Sink]:
    async def go() -> tuple[Any, Sink]:
        async with sink(answer, tls) as there:
            try:
                return await use(there), there
            except Refused as error:
                return error, there

    return asyncio.run(go())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0.0.0.0", "10.1.2.3",
        "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.100.100.200", "168.63.129.16",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[64:ff9b::a00:1]",
        "[2002:7f00:1::]", "[fd00:ec2::254]", "[fe80::1]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    error = refused(post(f"http://{host}:9/"), allow_private=False)
    assert error.status == 400 or host.startswith("["), "without IPv6 there may be no route"
    assert error.code in ("PRIVATE_ADDRESS", "INVALID_REQUEST", "ENOTFOUND")


def test_a_name_of_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with names(monkeypatch, hook_test="127.0.0.1"):
        error = refused(post("http://hook.test:9/"), allow_private=False)
    assert error.code == "PRIVATE_ADDRESS" and "PENSTOCK_ALLOW_PRIVATE" in str(error)


def only(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one address stand for all of the internet."""
    monkeypatch.setattr(http, "is_public", lambda given: given == address)


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    only("127.0.0.1", monkeypatch)

    async def use(there: Sink) -> Answer:
        there.answer = lambda asked: reply(307, location=f"http://127.0.0.2:{there.port}/meta")
        return await send(post(there.url), allow_private=False)

    error, there = with_sink(None, use)
    assert error.code == "PRIVATE_ADDRESS" and len(there.asked) == 1


def test_a_name_that_changes_its_address_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged is the address of the socket, not an earlier look at the name."""
    only("127.0.0.9", monkeypatch)

    async def use(there: Sink) -> Answer:
        with names(monkeypatch, rebind_test="127.0.0.1"):
            return await send(post(f"http://rebind.test:{there.port}/"), allow_private=False)

    error, there = with_sink(None, use)
    assert error.code == "PRIVATE_ADDRESS" and there.connections == 0


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "example.com", "http://", "", "http://a b/",
     "gopher://x/", "http://x:99999/"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    error = refused(post(url), timeout=5)
    assert error.status == 400 and error.code in ("INVALID_ADDRESS", "INVALID_REQUEST")


def test_a_header_with_a_line_break_is_refused() -> None:
    broken = {"X-A": "a\r\nX-B: b"}
    error, there = with_sink(None, lambda there: send(Wire("POST", there.url, broken, b"")))
    assert (error.status, error.code) == (400, "INVALID_REQUEST") and not there.asked


def test_a_server_that_is_not_there() -> None:
    async def use(there: Sink) -> int:
        return there.port

    port, _ = with_sink(None, use)
    error = refused(post(f"http://127.0.0.1:{port}/"))
    assert (error.status, error.code) == (0, "ECONNREFUSED")
    error = refused(post("http://nowhere.invalid/"))
    assert error.status == 0 and error.code in ("ENOTFOUND", "EAI_AGAIN")


async def _never(asked: Asked) -> bytes:
    await asyncio.sleep(600)
    return b""


@pytest.mark.parametrize(
    "answer", [_never, script(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")]
)
def test_a_server_that_hangs(answer: Any) -> None:
    error, _ = with_sink(answer, lambda there: send(post(there.url), timeout=0.5))
    assert (error.status, error.code) == (408, "ETIMEDOUT")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nab",
        b"nonsense\r\n\r\n",
    ],
)
def test_a_server_that_breaks_off(answer: bytes | None) -> None:
    error, _ = with_sink(script(answer), lambda there: send(post(there.url)))
    assert (error.status, error.code) == (0, "ECONNRESET")


def test_redirects_to_the_same_host_keep_everything() -> None:
    answers = script(reply(307, location="/b"), reply(308, location="c?x=1"), reply(201))
    answer, there = with_sink(answers, lambda there: send(post(there.url + "/a", b"1", auth="k")))
    assert answer.status == 201
    assert [(a.method, a.path, a.body) for a in there.asked] == [
        ("POST", "/a", b"1"), ("POST", "/b", b"1"), ("POST", "/c?x=1", b"1"),
    ]  # fmt: skip
    assert all(a.headers["auth"] == "k" for a in there.asked)


def test_other_redirects_are_answers() -> None:
    answer, there = with_sink(
        script(reply(302, location="/b")), lambda there: send(post(there.url))
    )
    assert answer.status == 302 and len(there.asked) == 1


def test_redirects_in_a_circle_end() -> None:
    error, there = with_sink(script(reply(307, location="/")), lambda there: send(post(there.url)))
    assert (error.status, error.code) == (307, "TOO_MANY_REDIRECTS") and len(there.asked) == 6


def elsewhere(wire: dict[str, str], body: bytes = b"{}", mask: Any = None) -> tuple[Any, Sink]:
    async def use(there: Sink) -> Answer:
        away = f"http://localhost:{there.port}/away"
        there.answer = script(reply(307, location=away), reply(202))
        return await send(post(there.url, body, **wire), mask=mask)

    return with_sink(None, use)


def test_another_host_gets_no_credentials() -> None:
    wire = {"authorization": "Bearer x", "x-key": "k", "content-type": "text/plain"}
    answer, there = elsewhere(wire)
    assert answer.status == 202 and there.asked[1].path == "/away"
    assert there.asked[1].headers["content-type"] == "text/plain"
    assert not {"authorization", "x-key", "cookie"} & set(there.asked[1].headers)


def test_a_request_with_a_secret_does_not_go_to_another_host() -> None:
    error, there = elsewhere({}, b'{"api_key": "verysecret"}', lambda: Masker(["verysecret"]))
    assert (error.status, error.code) == (307, "REDIRECT_REFUSED") and len(there.asked) == 1


def test_cookies_are_not_kept_and_proxies_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def use(there: Sink) -> None:
        sender = HttpSender(allow_private=True)
        for _ in range(2):
            await sender.send(post(there.url), PATIENCE)
        await sender.close()

    _, there = with_sink(script(reply(set_cookie="a=b")), use)
    assert "cookie" not in there.asked[1].headers and there.connections == 1


def test_long_answers_are_cut_and_their_connection_given_up() -> None:
    long = b"x" * 5_000_000
    answer, _ = with_sink(script(reply(body=long)), lambda there: send(post(there.url)))
    assert len(answer.body) == 1024 * 1024


def test_compressed_answers_are_bounded_too() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    answer, _ = with_sink(
        script(reply(body=bomb, content_encoding="gzip")), lambda there: send(post(there.url))
    )
    assert answer.body == bytes(1024 * 1024)
    small = reply(body=gzip.compress(b'{"a":1}'), content_encoding="gzip")
    answer, _ = with_sink(script(small), lambda there: send(post(there.url)))
    assert answer.json() == {"a": 1}


def test_tls_needs_a_certificate_that_is_trusted() -> None:
    authority = trustme.CA()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    error, there = with_sink(None, lambda there: send(post(there.url)), served)
    assert (error.status, error.code) == (0, "ETLS") and not there.asked
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    answer, there = with_sink(
        None, lambda there: send(post(there.url), ssl_context=trusting), served
    )
    assert answer.status == 200 and len(there.asked) == 1


def test_urls_arrive_as_they_were_written() -> None:
    path = "/a%2Fb/%7E~?x=a+b&y=%20&z=[1]"
    _, there = with_sink(None, lambda there: send(post(there.url + path)))
    assert there.asked[0].path == path
