from __future__ import annotations

import asyncio
import gzip
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from penstock.destinations.catalog.s3 import DESTINATION
from penstock.destinations.contract import FileWrite, InvalidPayload
from penstock.destinations.sending import Performed, perform, perform_dry
from tests.destinations.sending.sinks import call, senders
from tests.running import free_ports

WRITE = DESTINATION.action("write")
KEYS = {"access_key_id": "key-of-mine", "secret_access_key": "secret-of-mine"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(f"{url}/lake", method="PUT")).close()
    yield url
    server.stop()


def run(payloads: list[dict[str, Any]], **settings: Any) -> Performed:
    async def go() -> Performed:
        async with senders() as out:
            return await perform(DESTINATION, WRITE, call(payloads, **settings), out, record=True)

    return asyncio.run(go())


def test_batches_arrive_once_however_often_they_are_sent(endpoint: str) -> None:
    payloads = [{"data": {"n": n}, "received_at": "2026-01-02T00:00:00Z"} for n in range(3)]
    for _ in range(2):
        done = run(payloads, bucket="lake", prefix="/raw/", endpoint=endpoint, **KEYS)
        assert all(each.delivered for each in done.outcomes)
    assert done.exchanges[0].url.startswith("s3://lake/raw/date=2026-01-02/")
    assert "secret-of-mine" not in repr(done)
    config: Any = {"endpoint": endpoint, "region": "us-east-1", **KEYS}
    store = S3Store("lake", config=config, client_options={"allow_http": True})
    ((entry,),) = obstore.list(store)
    lines = gzip.decompress(bytes(obstore.get(store, entry["path"]).bytes())).splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_bucket_that_is_not_there_is_refused(endpoint: str) -> None:
    done = run([{"data": {}}], bucket="nowhere", endpoint=endpoint, **KEYS)
    assert (done.outcomes[0].status, done.outcomes[0].retriable) == (404, False)


def test_keys_come_in_pairs() -> None:
    with pytest.raises(InvalidPayload):
        perform_dry(WRITE, call([{"data": {}}], bucket="b", access_key_id="only"))
    (built,) = perform_dry(WRITE, call([{"data": {}}], bucket="s3://b/"))
    assert isinstance(built, FileWrite)
    assert built.store == "s3://b" and built.options == {"region": "us-east-1"}
