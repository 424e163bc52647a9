"""The state store's tables, as they are after the newest migration."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

__all__ = [
    "FORMAT_VERSION",
    "about",
    "audit",
    "definitions",
    "destinations",
    "functions",
    "metadata",
    "sessions",
    "sources",
    "tokens",
    "users",
    "warehouses",
]

FORMAT_VERSION = 4
"""Number of the newest file in ``migrations/versions``."""

metadata = MetaData()
about = Table(
    "about",
    metadata,
    Column("format_version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)
sources = Table(
    "sources",
    metadata,
    Column("slug", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("space", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("write_keys", JSON, nullable=False),
    Column("rate_limit", Integer),
)
destinations = Table(
    "destinations",
    metadata,
    Column("slug", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("sources", JSON(none_as_null=True)),
    Column("settings", JSON, nullable=False),
    Column("secrets", JSON, nullable=False),
    Column("filters", JSON, nullable=False),
    Column("mappings", JSON(none_as_null=True)),
    Column("consent", JSON, nullable=False),
    Column("delivery", JSON, nullable=False),
    Column("functions", JSON, nullable=False),
)
functions = Table(
    "functions",
    metadata,
    Column("slug", String, primary_key=True),
    Column("file", String, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("secrets", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("timeout", Float, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("network", JSON, nullable=False),
)
warehouses = Table(
    "warehouses",
    metadata,
    Column("slug", String, primary_key=True),
    Column("sources", JSON, nullable=False),
)
definitions = Table(
    "definitions",
    metadata,
    Column("kind", String, primary_key=True),
    Column("slug", String, primary_key=True),
    Column("definition", JSON, nullable=False),
)
users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("last_login_us", BigInteger),
)
tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", String, nullable=False),
    Column("last_used_us", BigInteger),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
)
sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("user_id", String, nullable=False, index=True),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("actor_kind", String, nullable=False),
    Column("address", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Index("audit_subject", "subject", "id"),
    sqlite_autoincrement=True,
)
