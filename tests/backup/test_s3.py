"""Backups in S3-compatible storage, against a server that speaks its protocol over HTTP."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from penstock.backup.restore import restore
from penstock.backup.s3 import S3Target
from penstock.backup.target import keep_newest, manifests, open_target, stored_name
from penstock.errors import BackupError
from tests.backup.small import Small, record
from tests.running import free_ports

PART = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(f"{endpoint}/moto-api/reset", data=b"").close()
    opener.open(urllib.request.Request(f"{endpoint}/backups", method="PUT")).close()
    return "s3://backups/shop/production"


def test_back_from_s3(bucket: str, tmp_path: Path) -> None:
    small = Small(tmp_path / "data")
    small.state()
    small.receive(record("a", 1))
    small.catch_up()
    small.receive(record("b", 2))
    small.backup(bucket)
    small.receive(record("c", 10))
    second = small.backup(bucket)
    assert second.copied_files < len(second.manifest.files)
    data = tmp_path / "again"
    restore(bucket, data)
    again = Small(data)
    again.catch_up()
    assert again.ids() == ["a", "b", "c"]
    keep_newest(open_target(bucket), 1)
    assert [each.id for each in manifests(open_target(bucket))] == [second.manifest.id]
    restore(bucket, tmp_path / "third")


def test_what_is_gone_from_s3_is_named(bucket: str, tmp_path: Path) -> None:
    small = Small(tmp_path / "data")
    small.receive(record("a", 1))
    small.catch_up()
    files = {file.path: file.sha256 for file in small.backup(bucket).manifest.files}
    open_target(bucket).remove(stored_name(files["warehouse.duckdb"]))
    with pytest.raises(BackupError, match=r"warehouse\.duckdb is missing"):
        restore(bucket, tmp_path / "again")


def test_a_file_of_several_parts(bucket: str, tmp_path: Path) -> None:
    target = S3Target(bucket)
    content = b"".join(number.to_bytes(4, "big") for number in range(5 * PART // 4))
    (tmp_path / "large").write_bytes(content)
    target.put("files/large", tmp_path / "large")
    assert target.get("files/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert target.names("files/") == ["files/large"]


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    del bucket
    with pytest.raises(BackupError, match="Check the name of the bucket"):
        open_target("s3://nobody/x").put_bytes("a", json.dumps({}).encode())
    with pytest.raises(BackupError, match="name the bucket"):
        open_target("s3://")
