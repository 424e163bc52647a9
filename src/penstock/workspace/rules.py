"""What a source may be, whether a file or a request says it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from penstock.errors import ConfigurationError
from penstock.events.model import Source

__all__ = ["RESERVED_SLUGS", "SLUG", "SOURCE_TYPES", "WRITE_KEY", "check_keys", "check_source"]

SLUG = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_SLUGS = frozenset(
    {
        "penstock", "profiles", "main", "information_schema", "pg_catalog",
        "warehouse", "temp", "system",  # catalogs of DuckDB: `temp.tracks` would be theirs
    }
)  # fmt: skip
WRITE_KEY = re.compile(r"[A-Za-z0-9._~-]{1,200}")
SOURCE_TYPES = ("browser", "server", "mobile", "webhook", "cloud")


def check_source(source: Source) -> None:
    """Raise ConfigurationError with what to write instead."""
    if not SLUG.fullmatch(source.slug) or source.slug in RESERVED_SLUGS:
        raise ConfigurationError(
            "a slug is lower-case letters, digits and _, begins with a letter, and is "
            f"none of {', '.join(sorted(RESERVED_SLUGS))}"
        )
    if source.type not in SOURCE_TYPES:
        raise ConfigurationError(f"type must be one of {', '.join(SOURCE_TYPES)}")
    for key in source.write_keys:
        if not WRITE_KEY.fullmatch(key):
            raise ConfigurationError(f"write key {key!r}: use letters, digits, and - _ . ~ only")
    if len(set(source.write_keys)) < len(source.write_keys):
        raise ConfigurationError("a write key is listed twice")
    if source.rate_limit is not None and source.rate_limit < 1:
        raise ConfigurationError("rate_limit is events per second, at least 1, or absent")


def check_keys(current: Iterable[Source], planned: Iterable[Source]) -> None:
    """Raise ConfigurationError when a write key would belong to two sources."""
    owner: dict[str, str] = {}
    after = {source.slug: source for source in (*current, *planned)}
    for source in after.values():
        for key in dict.fromkeys(source.write_keys):
            if key in owner:
                raise ConfigurationError(
                    f"sources.{source.slug}: write key {key!r} belongs to {owner[key]} already; "
                    "give each source its own"
                )
            owner[key] = source.slug
