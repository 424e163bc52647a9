from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from penstock.destinations.contract import Answer, OAuth2, Refused
from penstock.destinations.sending.oauth import Tokens
from penstock.destinations.sending.wire import Wire

SETTINGS = {
    "client_id": "me", "client_secret": "s3cret", "refresh_token": "r1", "username": "u",
    "password": "p", "domain": "shop.example",
}  # fmt: skip
OAUTH = OAuth2("https://{domain}/token")


class Server:
    """Gives tokens t1, t2 ... or what it is told."""

    def __init__(self, *answers: Answer, **more: Any) -> None:
        self.answers = list(answers)
        self.more = more
        self.asked: list[Wire] = []

    async def send(self, wire: Wire, timeout: float, mask: object = None) -> Answer:
        self.asked.append(wire)
        await asyncio.sleep(0)
        if self.answers:
            return self.answers.pop(0)
        granted = {"access_token": f"t{len(self.asked)}", "expires_in": 3600, **self.more}
        return Answer(200, body=json.dumps(granted).encode())

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs((self.asked[-1].body or b"").decode())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_asked_for_once_and_kept_while_it_lasts() -> None:
    server, clock = Server(), Clock()

    async def go() -> list[str]:
        tokens = Tokens(OAUTH, SETTINGS, server, clock=clock)
        found = await asyncio.gather(*(tokens.current() for _ in range(20)))
        clock.now = 3539
        found.append(await tokens.current())
        clock.now = 3541
        found.append(await tokens.current())
        return found

    assert asyncio.run(go()) == ["t1"] * 21 + ["t2"]
    assert server.asked[0].url == "https://shop.example/token"
    assert server.form == {
        "grant_type": ["refresh_token"], "refresh_token": ["r1"], "client_id": ["me"],
        "client_secret": ["s3cret"],
    }  # fmt: skip


def test_many_that_meet_a_401_renew_it_once() -> None:
    server = Server()

    async def go() -> list[str]:
        tokens = Tokens(OAUTH, SETTINGS, server)
        stale = await tokens.current()
        return await asyncio.gather(*(tokens.renew(stale) for _ in range(20)))

    assert asyncio.run(go()) == ["t2"] * 20 and len(server.asked) == 2


def test_a_new_refresh_token_is_told_and_used() -> None:
    server, told = Server(refresh_token="r2"), []

    async def rotated(token: str) -> None:
        told.append(token)

    async def go() -> None:
        tokens = Tokens(OAUTH, SETTINGS, server, rotated=rotated)
        await tokens.renew(await tokens.current())

    asyncio.run(go())
    assert told == ["r2"] and server.form["refresh_token"] == ["r2"]


def test_other_grants() -> None:
    server = Server()
    basic = OAuth2("https://x/t", "client_credentials", scope="a b", basic=True)
    asyncio.run(Tokens(basic, SETTINGS, server).current())
    assert server.form == {"grant_type": ["client_credentials"], "scope": ["a b"]}
    header = server.asked[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(header) == b"me:s3cret"
    asyncio.run(Tokens(OAuth2("https://x/t", "password"), SETTINGS, server).current())
    assert server.form["username"] == ["u"] and server.form["password"] == ["p"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer(400, body=b'{"error": "invalid_grant"}'), 401, "INVALID_AUTHENTICATION"),
        (Answer(200, body=b"<html>"), 401, "INVALID_AUTHENTICATION"),
        (Answer(503), 503, "503"),
        (Answer(429, {"retry-after": "5"}), 429, "429"),
    ],
)
def test_no_token(answer: Answer, status: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(Tokens(OAUTH, SETTINGS, Server(answer)).current())
    assert (caught.value.status, caught.value.code) == (status, code)


def test_a_setting_that_the_address_needs() -> None:
    with pytest.raises(Refused, match="setting domain is missing"):
        asyncio.run(Tokens(OAUTH, {}, Server()).current())
