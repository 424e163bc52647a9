"""Group commit apart from HTTP."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from penstock.errors import ConfigurationError, JournalFull, JournalUnwritable
from penstock.events import Record
from penstock.ingest.accept import Acceptance
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.proxies import Proxies
from tests.ingest.collecting import NoWriter


def acceptance(count: int, name: str = "m") -> Acceptance:
    records = [Record("web", f"{name}{number}", 1, b"{}") for number in range(count)]
    return Acceptance(1, records=records)


def test_a_round_is_written_in_blocks_of_bounded_size() -> None:
    received = NoWriter()

    async def run() -> None:
        committer = GroupCommitter(received, NoWriter(), queue_bytes=1000)
        await committer.commit(acceptance(4_500), 10)
        committer.close()

    asyncio.run(run())
    assert [block.count for block in received.blocks] == [2_000, 2_000, 500]
    decode = msgspec.msgpack.Decoder(list[Record]).decode
    records = [record for block in received.blocks for record in decode(block.body)]
    assert records == acceptance(4_500).records


def test_closing_writes_what_waits() -> None:
    received = NoWriter()

    async def run() -> list[None]:
        committer = GroupCommitter(received, NoWriter(), queue_bytes=1000)
        futures = [committer.commit(acceptance(1, f"m{number}"), 1) for number in range(20)]
        committer.close()
        return await asyncio.gather(*futures)

    assert asyncio.run(run()) == [None] * 20
    assert sum(block.count for block in received.blocks) == 20


def test_all_requests_of_a_failed_round_are_told() -> None:
    received = NoWriter()
    go = threading.Event()
    received.before = lambda: go.wait(60)

    async def run() -> list[BaseException | None]:
        committer = GroupCommitter(received, NoWriter(), queue_bytes=1000)
        first = committer.commit(acceptance(1), 1)
        received.failure = JournalUnwritable("no")
        rest = [committer.commit(acceptance(1), 1) for _ in range(5)]
        go.set()
        done = await asyncio.gather(first, *rest, return_exceptions=True)
        received.failure = None
        await committer.commit(acceptance(1), 1)
        committer.close()
        return done

    assert {type(outcome) for outcome in asyncio.run(run())} == {JournalUnwritable}
    assert len(received.blocks) == 1


def test_what_is_being_written_counts_for_the_queue() -> None:
    received = NoWriter()
    begun, go = threading.Event(), threading.Event()

    def before() -> None:
        begun.set()
        go.wait(60)

    received.before = before

    async def run() -> None:
        committer = GroupCommitter(received, NoWriter(), queue_bytes=100)
        first = committer.commit(acceptance(1), 90)
        assert await asyncio.to_thread(begun.wait, 60)
        with pytest.raises(JournalFull):
            committer.commit(acceptance(1), 20)
        second = committer.commit(acceptance(1), 10)
        go.set()
        await asyncio.gather(first, second)
        await committer.commit(acceptance(1), 100)
        assert committer.tally.turned_away == 1
        committer.close()

    asyncio.run(run())


def test_one_request_larger_than_the_queue_passes_when_nothing_waits() -> None:
    async def run() -> None:
        committer = GroupCommitter(NoWriter(), NoWriter(), queue_bytes=10)
        await committer.commit(acceptance(1), 100)
        committer.close()

    asyncio.run(run())


@pytest.mark.parametrize("trusted", ["proxy.test", "10.0.0.0/99", "10.0.0.1;10.0.0.2"])
def test_a_proxy_is_an_address_or_a_network(trusted: str) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        Proxies(f"127.0.0.1, {trusted}")


def test_no_proxies_are_trusted_by_default(tmp_path: Path) -> None:
    assert not Proxies().trusts("127.0.0.1")
    assert not Proxies("127.0.0.1").trusts("not an address")
