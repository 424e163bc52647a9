"""Messages for Kafka, each confirmed by all replicas, in order and once per producer."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from penstock.destinations.contract import Answer, Failure, Refused, StreamSend
from penstock.destinations.sending.addresses import check_host

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

__all__ = ["StreamSender", "failures_of"]

_PRODUCERS = 32
_OPENERS = 16
_POLL = 0.1
_ANY_PARTITION = -1
_DENIED = {"_AUTHENTICATION": 401, "SASL_AUTHENTICATION_FAILED": 401}
_STATUSES = {
    **_DENIED,
    "TOPIC_AUTHORIZATION_FAILED": 403,
    "CLUSTER_AUTHORIZATION_FAILED": 403,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": 403,
    "_UNKNOWN_TOPIC": 404,
    "UNKNOWN_TOPIC_OR_PART": 404,
    "_UNKNOWN_PARTITION": 404,
    "MSG_SIZE_TOO_LARGE": 413,
    "RECORD_LIST_TOO_LARGE": 413,
    "INVALID_RECORD": 400,
    "TOPIC_EXCEPTION": 400,
    "_INVALID_ARG": 400,
    "_MSG_TIMED_OUT": 408,
    "_TIMED_OUT": 408,
    "_QUEUE_FULL": 429,
}
"""What errors mean as a status; all others are 503."""


class StreamSender:
    """Keeps a producer for each set of brokers and options."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._producers: OrderedDict[tuple[object, ...], _Running] = OrderedDict()
        self._opening: dict[tuple[object, ...], asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(_OPENERS, thread_name_prefix="kafka")

    async def send(self, built: StreamSend, timeout: float) -> Answer:
        """Send, and wait until the brokers have all of it.

        Status 207 when some messages were not taken: ``failures_of`` then says which. Raises
        Refused when none were.
        """
        key = (built.brokers, timeout, *sorted(built.options.items()))
        running = await self._running(key, built, timeout)
        errors = await running.send(built)
        if running.is_broken():
            self._retire(key)
        if not errors:
            return Answer(200)
        failures = {index: running.failure(error) for index, error in errors.items()}
        if len(failures) == len(built.messages):
            first = failures[min(failures)]
            raise Refused(first.status, first.message, first.code)
        told = {index: [each.status, each.message, each.code] for index, each in failures.items()}
        return Answer(207, {"content-type": "application/json"}, json.dumps(told).encode())

    async def close(self) -> None:
        """Stop all producers; what is under way has until its timeout."""
        loop = asyncio.get_running_loop()
        running = list(self._producers.values())
        for key in list(self._producers):
            self._retire(key)
        for each in running:
            await loop.run_in_executor(self._threads, each.join)
        await loop.run_in_executor(None, self._threads.shutdown)

    async def _running(
        self, key: tuple[object, ...], built: StreamSend, timeout: float
    ) -> _Running:
        if key not in self._producers:
            async with self._opening.setdefault(key, asyncio.Lock()):
                if key not in self._producers:
                    self._producers[key] = await self._open(built, timeout)
            self._opening.pop(key, None)
        self._producers.move_to_end(key)
        while len(self._producers) > _PRODUCERS:
            self._retire(next(iter(self._producers)))
        return self._producers[key]

    async def _open(self, built: StreamSend, timeout: float) -> _Running:
        """A producer whose brokers are all outside, those that the first ones name as well."""
        from confluent_kafka import KafkaException

        if not self._allow_private:
            for host, port in _hosts(built.brokers):
                await check_host(host, port, self._threads)
        loop = asyncio.get_running_loop()
        denied: deque[KafkaError] = deque(maxlen=1)
        try:
            producer = _producer(built, timeout, denied)
        except KafkaException as error:
            raise _refused(error.args[0]) from error
        running = _Running(producer, loop, denied)
        if not self._allow_private:
            try:
                found = await loop.run_in_executor(
                    self._threads, lambda: producer.list_topics(timeout=timeout)
                )
                for broker in found.brokers.values():
                    await check_host(broker.host, broker.port, self._threads)
            except KafkaException as error:
                running.stop()
                raise _refused(denied[-1] if denied else error.args[0]) from error
            except Refused:
                running.stop()
                raise
        return running

    def _retire(self, key: tuple[object, ...]) -> None:
        running = self._producers.pop(key, None)
        if running is not None:
            running.stop()


def failures_of(answer: Answer) -> Mapping[int, Failure]:
    """Which messages of a StreamSend were not taken, by their index in it."""
    return {int(index): Failure(*told) for index, told in (answer.json() or {}).items()}


class _Running:
    """A producer, and the thread that lets it tell what became of messages."""

    def __init__(
        self, producer: Producer, loop: asyncio.AbstractEventLoop, denied: Sequence[KafkaError]
    ) -> None:
        """``denied`` gains an error each time the brokers refuse the credentials."""
        self._producer = producer
        self._loop = loop
        self._stopped = threading.Event()
        self._fatal = False
        self._denied = denied
        self._thread = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._thread.start()

    async def send(self, built: StreamSend) -> dict[int, KafkaError]:
        """The errors, by index."""
        from confluent_kafka import KafkaError, KafkaException

        done = self._loop.create_future()
        left = [len(built.messages)]
        errors: dict[int, KafkaError] = {}

        def settle(index: int, error: KafkaError | None) -> None:
            if error is not None:
                errors[index] = error
                self._fatal = self._fatal or error.fatal()
            left[0] -= 1
            if left[0] == 0 and not done.done():
                done.set_result(None)

        for index, message in enumerate(built.messages):
            try:
                self._produce(built.topic, message, index, settle)
            except BufferError:
                settle(index, KafkaError(KafkaError._QUEUE_FULL))
            except KafkaException as error:
                settle(index, error.args[0])
        if built.messages:
            await done
        return errors

    def is_broken(self) -> bool:
        """Whether the producer can't go on."""
        return self._fatal

    def failure(self, error: KafkaError) -> Failure:
        """What an error means: time is also up when the brokers refuse our credentials."""
        denied = self._denied[-1] if self._denied and error.name() == "_MSG_TIMED_OUT" else None
        return _failure(denied or error)

    def stop(self) -> None:
        """Stop once what was given to it is settled; returns at once."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until it has stopped."""
        self._thread.join()

    def _produce(
        self,
        topic: str,
        message: tuple[bytes | None, bytes, Mapping[str, str], int | None],
        index: int,
        settle: Any,
    ) -> None:
        key, value, headers, partition = message

        def told(error: KafkaError | None, _: Message) -> None:
            self._loop.call_soon_threadsafe(settle, index, error)

        self._producer.produce(
            topic,
            value,
            key,
            _ANY_PARTITION if partition is None else partition,
            told,
            headers=list(headers.items()),
        )

    def _poll(self) -> None:
        while not (self._stopped.is_set() and len(self._producer) == 0):
            self._producer.poll(_POLL)


def _producer(built: StreamSend, timeout: float, denied: deque[KafkaError]) -> Producer:
    from confluent_kafka import Producer

    def note(error: KafkaError) -> None:
        if error.name() in _DENIED:
            denied.append(error)

    milliseconds = max(1000, int(timeout * 1000))
    return Producer(
        {
            "client.id": "penstock",
            "linger.ms": 5,
            **built.options,
            "bootstrap.servers": built.brokers,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": milliseconds,
            "socket.timeout.ms": max(1000, min(milliseconds, 60_000)),
            "log_level": 3,
            "error_cb": note,
        },
        logger=logging.getLogger("penstock.destinations.kafka"),
    )


def _hosts(brokers: str) -> list[tuple[str, int]]:
    found = []
    for broker in filter(None, map(str.strip, brokers.split(","))):
        host, _, port = broker.rpartition("://")[2].rpartition(":")
        if not host or not port.isdigit():
            raise Refused(400, f"{broker!r} is no broker: write host:port", "INVALID_ADDRESS")
        found.append((host.strip("[]"), int(port)))
    if not found:
        raise Refused(400, "no broker is named", "INVALID_ADDRESS")
    return found


def _failure(error: KafkaError) -> Failure:
    name = error.name()
    return Failure(_STATUSES.get(name, 503), error.str(), name)


def _refused(error: KafkaError) -> Refused:
    failure = _failure(error)
    return Refused(failure.status, failure.message, failure.code)
