"""Which (source, messageId) was seen within the window.

Keys are 16-byte BLAKE2b digests in RocksDB, in buckets of a quarter of the window: a column
family each, dropped whole when it is too old. A key's value is the time it was received, so the
window is exact and not rounded to buckets.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    ColumnFamily,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from penstock.events.model import Record

__all__ = ["DedupeIndex"]

_POSITION = b"events position"
_CACHE_BYTES = 64 * 1024 * 1024
_WRITE_BUFFER_BYTES = 32 * 1024 * 1024
_pack = struct.Struct("<q").pack
_unpack = struct.Struct("<q").unpack


class DedupeIndex:
    """The keys of the last ``window``, and up to which block of ``events`` they are complete.

    Writes are not flushed to disk one by one: after a crash the index is behind, ``position``
    says how far it reaches, and the caller adds the rest from the blocks themselves.
    """

    def __init__(self, folder: Path, window: timedelta) -> None:
        self._window_us = int(window.total_seconds() * 1_000_000)
        self._bucket_us = max(self._window_us // 4, 1)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._options = _options()
        names = [name for name in _families(folder, self._options) if name != "default"]
        families = {name: self._options for name in names}
        self._db = Rdict(str(folder), self._options, column_families=families)
        self._buckets = {int(name): self._db.get_column_family(name) for name in names}
        self._handles = {int(name): self._db.get_column_family_handle(name) for name in names}
        self._fast = WriteOptions()

    def position(self) -> int:
        """Position in ``events`` up to which every key is in the index."""
        value = self._db.get(_POSITION)
        return 0 if value is None else int(_unpack(value)[0])

    def fresh(self, records: list[Record]) -> list[Record]:
        """The records not seen within the window before, each key at most once, in order."""
        keys = [_key(record) for record in records]
        seen = self._seen(keys)
        window = self._window_us
        fresh = []
        for key, record in zip(keys, records, strict=True):
            before = seen.get(key)
            if before is not None and abs(record.received_us - before) <= window:
                continue
            seen[key] = record.received_us
            fresh.append(record)
        return fresh

    def _seen(self, keys: list[Any]) -> dict[bytes, int]:
        """When each known key was last received."""
        seen: dict[bytes, int] = {}
        for _, bucket in sorted(self._buckets.items()):
            for key, value in zip(keys, bucket.get(list(keys)) or (), strict=True):
                if value is not None:
                    seen[key] = _unpack(value)[0]
        return seen

    def add(self, records: Iterable[Record], position: int) -> None:
        """Remember records, and that the index is complete up to a position in ``events``."""
        batch = WriteBatch(raw_mode=True)
        newest = 0
        for record in records:
            received = record.received_us
            batch.put(_key(record), _pack(received), self._handle(received // self._bucket_us))
            newest = max(newest, received)
        batch.put(_POSITION, _pack(position))
        self._db.write(batch, self._fast)
        self._drop_before(newest - self._window_us)

    def _handle(self, bucket: int) -> ColumnFamily:
        handle = self._handles.get(bucket)
        if handle is None:
            self._buckets[bucket] = self._db.create_column_family(str(bucket), self._options)
            handle = self._handles[bucket] = self._db.get_column_family_handle(str(bucket))
        return handle

    def _drop_before(self, oldest_us: int) -> None:
        for bucket in [b for b in self._buckets if (b + 1) * self._bucket_us < oldest_us]:
            self._buckets.pop(bucket).close()
            del self._handles[bucket]
            self._db.drop_column_family(str(bucket))

    def close(self) -> None:
        """Close the store."""
        self._handles.clear()
        for bucket in self._buckets.values():
            bucket.close()
        self._db.close()


def _key(record: Record) -> bytes:
    name = f"{record.source}\0{record.message_id}"
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _families(folder: Path, options: Options) -> list[str]:
    if not (folder / "CURRENT").exists():
        return []
    return list(Rdict.list_cf(str(folder), options))


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_db_write_buffer_size(2 * _WRITE_BUFFER_BYTES)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_block_cache(Cache(_CACHE_BYTES))
    options.set_block_based_table_factory(table)
    return options
