from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.webhook import DESTINATION
from penstock.destinations.contract import Call, InvalidPayload, Request
from penstock.destinations.sending import Performed, perform, perform_dry
from tests.destinations.sending.sinks import NOW, Sink, call, reply, script, senders, sink

EVENT = {"type": "track", "event": "Order Completed", "messageId": "m0", "properties": {"total": 9}}
SEND = DESTINATION.action("send")


def request(call: Call) -> Request:
    (built,) = perform_dry(SEND, call)
    assert isinstance(built, Request)
    return built


def run(call: Call, answer: bytes) -> tuple[Performed, Sink]:
    async def go() -> tuple[Performed, Sink]:
        async with sink(script(answer)) as there, senders() as out:
            asked = replace(call, settings={**call.settings, "url": there.url + "/hook"})
            return await perform(DESTINATION, SEND, asked, out), there

    return asyncio.run(go())


def test_the_whole_event_arrives_signed() -> None:
    done, there = run(call([{"data": EVENT}], shared_secret="verysecret"), reply())
    (asked,) = there.asked
    assert done.outcomes[0].delivered and (asked.method, asked.path) == ("POST", "/hook")
    assert asked.json() == EVENT and asked.headers["content-type"] == "application/json"
    assert asked.headers["x-penstock-message-id"] == "m0"
    expected = hmac.new(b"verysecret", asked.body, hashlib.sha1).hexdigest()
    assert asked.headers["x-signature"] == expected
    seconds = int(NOW.timestamp())
    signed = hmac.new(b"verysecret", b"%d." % seconds + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-penstock-signature"] == f"t={seconds},v1={signed}"


def test_a_batch_is_a_list_signed_by_its_first() -> None:
    events = [{**EVENT, "messageId": f"m{n}"} for n in range(3)]
    _, there = run(call([{"data": each} for each in events], shared_secret="s"), reply())
    (asked,) = there.asked
    assert asked.json() == events
    first = json.dumps(events[0], separators=(",", ":")).encode()
    assert asked.headers["x-signature"] == hmac.new(b"s", first, hashlib.sha1).hexdigest()


def test_a_batch_of_one_is_a_list() -> None:
    one = call([{"data": EVENT}], url="https://x/")
    assert (request(one).body or b"")[:1] == b"{"
    assert (request(replace(one, batched=True)).body or b"")[:1] == b"["


def test_fields_of_the_users_own_are_laid_over_the_body() -> None:
    settings: dict[str, Any] = {"url": "https://x/"}
    body = request(call([{"data": EVENT, "amount": 9.5, "type": "sale"}], **settings)).body
    assert json.loads(body or b"") == {**EVENT, "amount": 9.5, "type": "sale"}
    assert EVENT["type"] == "track", "the event itself stays as it is"
    assert request(call([{"amount": 9.5}], **settings)).body == b'{"amount":9.5}'
    with pytest.raises(InvalidPayload):
        request(call([{"data": [1], "amount": 9.5}], **settings))


def test_address_method_and_headers() -> None:
    built = request(
        call(
            [{"data": {}, "url": "https://y/", "method": "PUT", "headers": {"B": 2, "C": None}}],
            url="https://x/", headers={"A": "1", "B": "1"}, method="PATCH",
        )
    )  # fmt: skip
    assert (built.method, built.url) == ("PUT", "https://y/")
    assert built.headers["A"] == "1" and built.headers["B"] == "2" and "C" not in built.headers
    built = request(call([{"data": {}}], url="https://x/", method="PATCH"))
    assert (built.method, built.url) == ("PATCH", "https://x/")
    assert not [name for name in built.headers if "Signature" in name]


def test_headers_are_no_ones_business() -> None:
    done, there = run(
        call([{"data": EVENT}], headers={"X-Key": "topsecret"}), reply(500, "topsecret")
    )
    assert there.asked[0].headers["x-key"] == "topsecret"
    assert "topsecret" not in repr(done) and done.outcomes[0].retriable
