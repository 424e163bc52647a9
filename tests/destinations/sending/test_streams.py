from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from penstock.destinations.contract import Answer, Refused, StreamSend
from penstock.destinations.sending.streams import StreamSender, failures_of

PATIENCE = 60.0
Messages = tuple[tuple[bytes | None, bytes, dict[str, str], int | None], ...]


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    """The brokers that librdkafka plays itself."""
    owner = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "ignored"})
    found = owner.list_topics(timeout=PATIENCE).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    del owner


def send(built: StreamSend, timeout: float = PATIENCE, times: int = 1, **options: Any) -> Answer:
    async def go() -> Answer:
        sender = StreamSender(**{"allow_private": True, **options})
        try:
            for _ in range(times):
                answer = await sender.send(built, timeout)
            return answer
        finally:
            await sender.close()

    return asyncio.run(go())


def received(brokers: str, topic: str, count: int) -> list[tuple[Any, ...]]:
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found = []
    for _ in range(600):
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found.append((message.key(), message.value(), message.headers(), message.partition()))
        if len(found) == count:
            break
    consumer.close()
    return found


def test_messages_arrive_with_key_headers_and_partition(brokers: str) -> None:
    messages: Messages = (
        (b"k", b"one", {"a": "b"}, None), (None, b"two", {}, 2), (b"k", b"three", {}, None),
    )  # fmt: skip
    assert send(StreamSend(brokers, "shop", messages)).status == 200
    found = sorted(received(brokers, "shop", 3), key=lambda each: each[1])
    assert [each[:2] for each in found] == [(b"k", b"one"), (b"k", b"three"), (None, b"two")]
    assert found[0][2] == [("a", b"b")] and found[2][3] == 2
    assert found[0][3] == found[1][3], "one key, one partition"


def test_order_is_kept_over_many_sends(brokers: str) -> None:
    built = StreamSend(brokers, "ordered", ((b"k", b"x", {}, 0),))
    assert send(built, times=50).status == 200
    assert len(received(brokers, "ordered", 50)) == 50


def test_a_message_that_is_too_large_fails_alone(brokers: str) -> None:
    messages: Messages = ((None, b"ok", {}, 0), (None, bytes(2_000_000), {}, 0))
    answer = send(StreamSend(brokers, "large", messages))
    failures = failures_of(answer)
    assert answer.status == 207 and list(failures) == [1] and failures[1].status == 413
    with pytest.raises(Refused) as caught:
        send(StreamSend(brokers, "large", messages[1:]))
    assert (caught.value.status, caught.value.code) == (413, "MSG_SIZE_TOO_LARGE")


def test_brokers_that_are_not_there() -> None:
    built = StreamSend("127.0.0.1:9", "x", ((None, b"x", {}, None),))
    with pytest.raises(Refused) as caught:
        send(built, timeout=1)
    assert (caught.value.status, caught.value.code) == (408, "_MSG_TIMED_OUT")


def test_private_brokers_are_refused(brokers: str) -> None:
    built = StreamSend(brokers, "x", ((None, b"x", {}, None),))
    with pytest.raises(Refused) as caught:
        send(built, allow_private=False)
    assert caught.value.code == "PRIVATE_ADDRESS"


def test_brokers_that_brokers_name_are_judged_too(
    brokers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.destinations.sending import streams

    judged: list[str] = []

    async def check(host: str, port: int, executor: object) -> None:
        judged.append(f"{host}:{port}")
        if len(judged) > 1:
            raise Refused(400, "private", "PRIVATE_ADDRESS")

    monkeypatch.setattr(streams, "check_host", check)
    first = brokers.split(",", maxsplit=1)[0]
    with pytest.raises(Refused):
        send(StreamSend(first, "x", ((None, b"x", {}, None),)), allow_private=False)
    assert judged[0] == first and judged[1] in brokers


@pytest.mark.parametrize("brokers", ["", "nowhere", "host:port"])
def test_what_is_no_broker(brokers: str) -> None:
    with pytest.raises(Refused) as caught:
        send(StreamSend(brokers, "x", ((None, b"x", {}, None),)), allow_private=False)
    assert caught.value.code == "INVALID_ADDRESS"


def test_options_that_the_client_does_not_take() -> None:
    built = StreamSend("h:1", "x", ((None, b"x", {}, None),), {"no.such.option": "1"})
    with pytest.raises(Refused) as caught:
        send(built)
    assert caught.value.status == 400
