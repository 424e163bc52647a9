"""Which (source, messageId) was seen within the window.

Keys are 16-byte BLAKE2b digests in RocksDB, in buckets of a quarter of the window: a column
family each, dropped whole when it is too old. A key's value is the time it was received, so the
window is exact and not rounded to buckets.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import struct
import time
from dataclasses import dataclass, field
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
)

from penstock.errors import FormatTooNew
from penstock.events.model import Record

__all__ = ["DedupeIndex", "Keyed", "keyed"]

log = logging.getLogger("penstock.process")
FORMAT_VERSION = 1
_FORMAT = b"format version"
_POSITION = b"events position"
_WINDOW = b"window"
_CACHE_BYTES = 8 * 1024 * 1024
_WRITE_BUFFER_BYTES = 16 * 1024 * 1024
_pack = struct.Struct("<q").pack
_unpack = struct.Struct("<q").unpack


@dataclass(frozen=True)
class Keyed:
    """Records and their keys, in the same order."""

    records: list[Record]
    keys: list[bytes]
    duplicates: list[Record] = field(default_factory=list)
    """What ``fresh`` left out."""


class DedupeIndex:
    """The keys of the last ``window``, and up to which block of ``events`` they are complete.

    Writes are not flushed to disk one by one: after a crash the index is behind, ``position``
    says how far it reaches, and the caller adds the rest from the blocks themselves. A folder
    that RocksDB finds corrupt is set aside, one made for another window is removed; the index then
    begins empty, at position 0.
    """

    def __init__(self, folder: Path, window: timedelta) -> None:
        self.window_us = int(window.total_seconds() * 1_000_000)
        self.bucket_us = max(self.window_us // 4, 1)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._options = _options()
        self._db = _opened(folder, self._options)
        self._check_format(folder)
        self._check_window(folder)
        names = _families(folder, self._options)
        self._buckets = {int(name): self._db.get_column_family(name) for name in names}
        self._handles = {int(name): self._db.get_column_family_handle(name) for name in names}

    def _check_window(self, folder: Path) -> None:
        """Buckets of another window hold other times: begin anew, at position 0."""
        stored = self._db.get(_WINDOW)
        if stored is not None and _unpack(stored)[0] != self.window_us:
            log.warning("dedupe_window has changed; the index is made anew from events")
            self._db.close()
            shutil.rmtree(folder)
            self._db = _opened(folder, self._options)
            self._check_format(folder)
        self._db.put(_WINDOW, _pack(self.window_us))

    def _check_format(self, folder: Path) -> None:
        """An index without a format is of the first one."""
        stored = self._db.get(_FORMAT)
        version = 1 if stored is None else int(_unpack(stored)[0])
        if version > FORMAT_VERSION:
            self._db.close()
            raise FormatTooNew(folder, version, FORMAT_VERSION)
        if stored is None:
            self._db.put(_FORMAT, _pack(FORMAT_VERSION))

    def position(self) -> int:
        """Position in ``events`` up to which every key is in the index."""
        value = self._db.get(_POSITION)
        return 0 if value is None else int(_unpack(value)[0])

    def fresh(self, records: list[Record]) -> Keyed:
        """The records whose key was not accepted within a window of them, in their order.

        Of several records with one key the first counts as accepted; ``add`` makes it last.
        """
        window = self.window_us
        every = keyed(records)
        accepted = self._accepted(every)
        fresh = Keyed([], [])
        for key, record in zip(every.keys, records, strict=True):
            received = record.received_us
            times = accepted.get(key)
            if times is None:
                accepted[key] = [received]
            elif any(abs(received - before) <= window for before in times):
                fresh.duplicates.append(record)
                continue
            else:
                times.append(received)
            fresh.records.append(record)
            fresh.keys.append(key)
        return fresh

    def _accepted(self, every: Keyed) -> dict[bytes, list[int]]:
        """When each known key was accepted, as far as it matters to these records."""
        found: dict[bytes, list[int]] = {}
        if not every.records:
            return found
        times = [record.received_us for record in every.records]
        oldest = (min(times) - self.window_us) // self.bucket_us
        newest = (max(times) + self.window_us) // self.bucket_us
        keys: list[Any] = sorted(set(every.keys))  # in order, RocksDB finds them faster
        nothing: list[Any] = [None] * len(keys)
        for number, bucket in self._buckets.items():
            if not oldest <= number <= newest:
                continue
            values = bucket.get(keys) or nothing
            if values == nothing:
                continue
            for key, value in zip(keys, values, strict=True):
                if value is not None:
                    found.setdefault(key, []).append(_unpack(value)[0])
        return found

    def add(self, fresh: Keyed, position: int) -> None:
        """Remember records, and that the index is complete up to a position in ``events``."""
        batch = WriteBatch(raw_mode=True)
        times = (record.received_us for record in fresh.records)
        for key, received in sorted(zip(fresh.keys, times, strict=True)):
            batch.put(key, _pack(received), self._handle(received // self.bucket_us))
        batch.put(_POSITION, _pack(position))
        self._db.write(batch)

    def _handle(self, bucket: int) -> ColumnFamily:
        handle = self._handles.get(bucket)
        if handle is None:
            self._buckets[bucket] = self._db.create_column_family(str(bucket), self._options)
            handle = self._handles[bucket] = self._db.get_column_family_handle(str(bucket))
        return handle

    def forget(self, oldest_us: int) -> None:
        """Drop what can't matter to records received at ``oldest_us`` or later."""
        kept_from = oldest_us - self.window_us
        for bucket in [b for b in self._buckets if (b + 1) * self.bucket_us <= kept_from]:
            self._buckets.pop(bucket).close()
            del self._handles[bucket]
            self._db.drop_column_family(str(bucket))

    def close(self) -> None:
        """Close the store."""
        self._handles.clear()
        for bucket in self._buckets.values():
            bucket.close()
        self._db.close()


def keyed(records: list[Record]) -> Keyed:
    """Records with their keys."""
    return Keyed(records, [_key(record) for record in records])


def _key(record: Record) -> bytes:
    name = f"{record.source}\0{record.message_id}"
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _opened(folder: Path, options: Options) -> Rdict:
    try:
        families = dict.fromkeys(_families(folder, options), options)
        return Rdict(str(folder), options, column_families=families)
    except Exception as error:  # the only type that rocksdict raises
        if "Corruption" not in str(error):
            raise
        aside = folder.with_name(f"{folder.name}.damaged-{time.time_ns()}")
        log.error("%s: %s; set aside as %s, beginning anew", folder, error, aside.name)
        folder.rename(aside)
        return Rdict(str(folder), options)


def _families(folder: Path, options: Options) -> list[str]:
    if not (folder / "CURRENT").exists():
        return []
    return [name for name in Rdict.list_cf(str(folder), options) if name != "default"]


def _options() -> Options:
    """Filters stay in memory, 1.3 bytes a key; in the cache a filter larger than one of its 64
    shards would be read again for each look-up. The memtable's filter spares new keys a search.
    """
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_total_wal_size(4 * _WRITE_BUFFER_BYTES)
    options.set_db_write_buffer_size(2 * _WRITE_BUFFER_BYTES)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(False)
    table.set_block_cache(Cache(_CACHE_BYTES))
    options.set_block_based_table_factory(table)
    return options
