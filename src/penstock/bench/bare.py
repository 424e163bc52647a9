"""The HTTP client alone: ``python -m penstock.bench.bare URL EVENTS BATCH encode|decode``.

aiohttp posts events to a sink, as many at once as deliveries do, and prints how many it sends a
second of its own processor time. ``encode``: the events are there as objects, and the client makes
the JSON of each body. ``decode``: they are there as in the journal, and are decoded before.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.bench.events import records

_CONCURRENCY = 10
_HEADERS = {"Content-Type": "application/json"}
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def _send(url: str, calls: Sequence[Sequence[Any]], batch: int, *, decode: bool) -> None:
    import aiohttp

    waiting: Iterator[Sequence[Any]] = iter(calls)
    connector = aiohttp.TCPConnector(limit=_CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for call in waiting:
                events = [_decode(payload) for payload in call] if decode else call
                body = _encode(events if batch > 1 else events[0])
                async with session.post(f"{url}/ok", data=body, headers=_HEADERS) as answer:
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


def _main(url: str, events: int, batch: int, *, decode: bool) -> None:
    import uvloop

    payloads: list[Any] = [record.payload for record in records(60, 0, events)]
    if not decode:
        payloads = [_decode(payload) for payload in payloads]
    calls = [payloads[at : at + batch] for at in range(0, events, batch)]
    gc.freeze()  # the events that wait are no part of it
    uvloop.run(_send(url, calls[:20], batch, decode=decode))
    before = time.process_time()
    uvloop.run(_send(url, calls, batch, decode=decode))
    sys.stdout.write(f"{events / (time.process_time() - before)}\n")


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), decode=sys.argv[4] == "decode")
