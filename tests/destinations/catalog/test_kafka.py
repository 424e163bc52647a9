from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from penstock.destinations.catalog.kafka import DESTINATION
from penstock.destinations.catalog.kafka.send import options
from penstock.destinations.contract import Refused
from penstock.destinations.sending import Performed, perform
from tests.destinations.sending.sinks import call, senders

SEND = DESTINATION.action("send")


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    owner = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "ignored"})
    found = owner.list_topics(timeout=60).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    del owner


def run(payloads: list[dict[str, Any]], **settings: Any) -> Performed:
    async def go() -> Performed:
        async with senders() as out:
            return await perform(
                DESTINATION, SEND, call(payloads, **settings), out, timeout=60, record=True
            )

    return asyncio.run(go())


def read(brokers: str, topic: str, count: int) -> list[Any]:
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Any] = []
    for _ in range(600):
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found.append(message)
        if len(found) == count:
            break
    consumer.close()
    return found


def test_events_arrive_and_those_without_topic_do_not_fail_the_rest(brokers: str) -> None:
    payloads: list[dict[str, Any]] = [
        {"payload": {"n": 0}, "topic": "kept", "key": "u1", "headers": {"a": 1}, "partition": 3},
        {"payload": {"n": 1}},
        {"payload": {"n": 2}, "topic": "kept", "default_partition": 2},
        {"payload": {"n": 3, "big": "x" * 2_000_000}, "topic": "kept"},
    ]
    done = run(payloads, brokers=brokers, tls=False)
    assert [each.status for each in done.outcomes] == [200, 400, 200, 413]
    assert done.exchanges[0].kind == "stream" and '"n' in done.exchanges[0].body
    found = sorted(read(brokers, "kept", 2), key=lambda message: message.value())
    assert [json.loads(message.value()) for message in found] == [{"n": 0}, {"n": 2}]
    assert [message.partition() for message in found] == [3, 2]
    assert found[0].key() == b"u1" and found[1].key() is None
    assert dict(found[0].headers()) == {"a": b"1", "messageId": b"m0"}


def test_brokers_that_are_down_leave_all_to_be_tried_again() -> None:
    async def go() -> Performed:
        async with senders() as out:
            asked = call([{"payload": {}}] * 2, brokers="127.0.0.1:9", topic="x", tls=False)
            return await perform(DESTINATION, SEND, asked, out, timeout=1)

    outcomes = asyncio.run(go()).outcomes
    assert all(each.retriable and not each.delivered for each in outcomes)


def test_settings_of_the_client() -> None:
    assert options({})["security.protocol"] == "SSL"
    plain = options({"mechanism": "scram-sha-512", "username": "u", "password": "p", "tls": False})
    assert plain["security.protocol"] == "SASL_PLAINTEXT"
    assert plain["sasl.mechanism"] == "SCRAM-SHA-512" and plain["sasl.password"] == "p"
    certificate = {"mechanism": "client-cert-auth", "tls_certificate": "C", "tls_key": "K"}
    assert options(certificate)["ssl.key.pem"] == "K"
    assert options({"tls_verify": False})["enable.ssl.certificate.verification"] == "false"
    for broken in ({"mechanism": "plain", "username": "u"}, {"mechanism": "client-cert-auth"}):
        with pytest.raises(Refused, match="is needed for"):
            options(broken)


def test_the_client_takes_all_of_them() -> None:
    for mechanism in ("plain", "scram-sha-256", "scram-sha-512"):
        chosen = options({"mechanism": mechanism, "username": "u", "password": "p"})
        Producer({"bootstrap.servers": "127.0.0.1:9", "log_level": 0, **chosen})
