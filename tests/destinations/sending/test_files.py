from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from penstock.destinations.contract import FileWrite, Refused
from penstock.destinations.sending.files import FileSender
from tests.destinations.sending.sinks import reply, script, sink
from tests.running import free_ports


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(f"{url}/events", method="PUT")).close()
    yield url
    server.stop()


def options(endpoint: str) -> dict[str, str]:
    return {
        "endpoint": endpoint, "access_key_id": "k", "secret_access_key": "s",
        "region": "us-east-1", "virtual_hosted_style_request": "false",
    }  # fmt: skip


def send(built: FileWrite, **more: Any) -> int:
    async def go() -> int:
        sender = FileSender(**{"allow_private": True, **more})
        try:
            return (await sender.send(built, 60)).status
        finally:
            await sender.close()

    return asyncio.run(go())


def refused(built: FileWrite, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        send(built, **more)
    return caught.value


def test_a_file_is_whole_and_replaced(tmp_path: Path) -> None:
    for body in (b"one", b"two"):
        assert send(FileWrite("file:shop", "a/b.jsonl", body), folder=tmp_path) == 200
    assert [p.name for p in (tmp_path / "shop/a").iterdir()] == ["b.jsonl"]
    assert (tmp_path / "shop/a/b.jsonl").read_bytes() == b"two"
    inside = FileWrite(f"file://{tmp_path}/x", "c", b"3")
    assert send(inside, folder=tmp_path) == 200 and (tmp_path / "x/c").read_bytes() == b"3"


@pytest.mark.parametrize(
    ("store", "name"),
    [("file:../out", "a"), ("file:///etc", "a"), ("file:x", "../../a"), ("file:x", "/etc/a"),
     ("file:x", ""), ("ftp://x", "a"), ("file:link", "a")],
)  # fmt: skip
def test_nothing_is_written_elsewhere(tmp_path: Path, store: str, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    error = refused(FileWrite(store, name, b"x"), folder=root)
    assert error.status == 400
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["link", "root"]


def test_files_need_a_folder() -> None:
    assert refused(FileWrite("file:x", "a", b"x")).code == "INVALID_SETTINGS"


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file")
    error = refused(FileWrite("file:shop", "a", b"x"), folder=tmp_path)
    assert (error.status, error.code) == (507, "EIO")


def test_an_object_arrives(endpoint: str) -> None:
    assert send(FileWrite("s3://events/raw", "a/b", b"body", options(endpoint))) == 200
    config: Any = options(endpoint)
    store = S3Store("events", config=config, client_options={"allow_http": True})
    assert bytes(obstore.get(store, "raw/a/b").bytes()) == b"body"


def test_a_bucket_that_is_not_there(endpoint: str) -> None:
    error = refused(FileWrite("s3://nowhere", "a", b"x", options(endpoint)))
    assert error.status == 404


def test_private_endpoints_are_refused(endpoint: str) -> None:
    built = FileWrite("s3://events", "a", b"x", options(endpoint))
    assert refused(built, allow_private=False).code == "PRIVATE_ADDRESS"
    built = FileWrite("s3://events", "a", b"x", options("nonsense"))
    assert refused(built, allow_private=False).code == "INVALID_ADDRESS"


@pytest.mark.parametrize(("status", "seen"), [(403, 403), (500, 500), (503, 503), (400, 400)])
def test_what_a_store_answers(status: int, seen: int) -> None:
    async def go() -> tuple[int, int]:
        async with sink(script(reply(status, "<Error/>"))) as there:
            sender = FileSender(allow_private=True)
            with pytest.raises(Refused) as caught:
                await sender.send(FileWrite("s3://events", "a", b"x", options(there.url)), 60)
            await sender.close()
            return caught.value.status, len(there.asked)

    assert asyncio.run(go()) == (seen, 1), "and nothing was tried again"
