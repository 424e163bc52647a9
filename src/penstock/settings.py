"""Every setting of Penstock, declared once.

A value comes from a command-line flag, else from ``PENSTOCK_<NAME>``, else from ``penstock.toml``
in the working directory, else from the default here. The reference page is generated from this
file, so the text under each field is what a user reads.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

from penstock.errors import ConfigurationError

__all__ = ["Settings", "environment_name", "load_settings", "role_label", "unknown_variables"]

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WRITTEN_AS: dict[Any, tuple[type, ...]] = {
    int: (int, str),
    float: (int, float, str),
    str: (str,),
    Path: (str, Path),
}
"""Types from which a setting of a type may be made; a bool is an int to Python, but not to us."""
_WANTED: dict[Any, str] = {
    timedelta: "a duration such as 24h",
    int: "a whole number",
    bool: "true or false",
}
_OTHER_VARIABLES = frozenset(
    {
        "PENSTOCK_CHROMIUM",
        "PENSTOCK_SOAK",
        "PENSTOCK_TEST_REQUIRE",
        "PENSTOCK_TOKEN",
        "PENSTOCK_URL",
    }
)
"""Variables that are no settings: those of the tests, and which Penstock commands talk to."""
_LOG_FORMATS = ("auto", "text", "json")
_LOG_LEVELS = ("debug", "info", "warning", "error")
_AT_LEAST_ONE = frozenset(
    {
        "workers",
        "max_request_bytes",
        "max_event_bytes",
        "max_batch_items",
        "max_connections",
        "queue_bytes",
        "segment_bytes",
        "warehouse_chunk",
        "sql_parallel",
    }
)
_MAY_BE_OFF = frozenset({"snapshot_every"})
_AT_LEAST_ZERO = frozenset(
    {"min_free_disk", "warn_free_disk", "journal_max_bytes", "warehouse_threads"}
)


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one Penstock installation."""

    data: Path = dataclasses.field(
        default=Path("penstock-data"),
        metadata=_help("Folder that holds everything Penstock keeps."),
    )
    secret_key: Path | None = dataclasses.field(
        default=None,
        metadata=_help(
            "File with the key that encrypts the secrets of destinations; made when the first one "
            "is stored. Default: `secret.key` in the data folder."
        ),
    )
    host: str = dataclasses.field(
        default="0.0.0.0", metadata=_help("Address the collector listens on.")
    )
    port: int = dataclasses.field(default=8080, metadata=_help("Port of the collector (public)."))
    console_host: str = dataclasses.field(
        default="127.0.0.1",
        metadata=_help("Address the console and management API listen on."),
    )
    console_port: int = dataclasses.field(
        default=8090,
        metadata=_help("Port of the console and management API. 0: they are not served."),
    )
    workers: int = dataclasses.field(
        default=1,
        metadata=_help("Collector processes. Each writes a journal partition of its own."),
    )
    public_url: str = dataclasses.field(
        default="",
        metadata=_help(
            "Address under which browsers reach the collector, such as https://cdp.example.com. "
            "Default: the Host header of the request."
        ),
    )
    trusted_proxies: str = dataclasses.field(
        default="127.0.0.1,::1",
        metadata=_help(
            "Addresses, or networks such as 10.0.0.0/8, comma-separated, whose X-Forwarded-For "
            "and -Proto are believed. Empty: nobody's."
        ),
    )
    tls_cert: Path | None = dataclasses.field(
        default=None,
        metadata=_help(
            "Certificate for HTTPS on `port`, with its chain, in PEM form. A renewed file is taken "
            "up without a restart. Default: plain HTTP."
        ),
    )
    tls_key: Path | None = dataclasses.field(
        default=None,
        metadata=_help("Private key of `tls_cert`, in PEM form, without a password."),
    )
    one_port: bool = dataclasses.field(
        default=False,
        metadata=_help(
            "Whether the management API is reached under `port` too, at /api, with a login. "
            "Default: only under `console_port`."
        ),
    )
    max_connections: int = dataclasses.field(
        default=5000,
        metadata=_help(
            "Most connections of one collector process; the next are answered 503 and closed."
        ),
    )
    max_request_bytes: int = dataclasses.field(
        default=512 * 1024,
        metadata=_help("Largest body of a batch, after decompression."),
    )
    max_event_bytes: int = dataclasses.field(
        default=33 * 1024, metadata=_help("Largest single event.")
    )
    max_batch_items: int = dataclasses.field(
        default=2500, metadata=_help("Most events in one batch; a longer batch is rejected whole.")
    )
    body_timeout: timedelta = dataclasses.field(
        default=timedelta(seconds=15),
        metadata=_help(
            "Longest a client may take to send the headers of a request, and again its body."
        ),
    )
    unknown_key_status: int = dataclasses.field(
        default=401,
        metadata=_help("HTTP status for an unknown write key: 401, or 200 as Segment answers."),
    )
    queue_bytes: int = dataclasses.field(
        default=64 * 1024 * 1024,
        metadata=_help("Bytes of accepted events that may wait for the disk; beyond, 429."),
    )
    min_free_disk: int = dataclasses.field(
        default=256 * 1024 * 1024,
        metadata=_help(
            "Free bytes below which the collector answers 503 rather than fill the disk."
        ),
    )
    warn_free_disk: int = dataclasses.field(
        default=2 * 1024**3,
        metadata=_help("Free bytes below which the log and `penstock status` warn."),
    )
    dedupe_window: timedelta = dataclasses.field(
        default=timedelta(hours=24),
        metadata=_help("How long a messageId is remembered, per source, by receivedAt."),
    )
    received_retention: timedelta = dataclasses.field(
        default=timedelta(days=7), metadata=_help("How long topic `received` is kept.")
    )
    events_retention: timedelta = dataclasses.field(
        default=timedelta(days=30), metadata=_help("How long topic `events` is kept.")
    )
    rejected_retention: timedelta = dataclasses.field(
        default=timedelta(days=30), metadata=_help("How long topic `rejected` is kept.")
    )
    monitor_retention: timedelta = dataclasses.field(
        default=timedelta(days=90),
        metadata=_help(
            "How long volumes by source, event and outcome are kept: by minute for 7 days, by "
            "hour after that."
        ),
    )
    monitor_masked: str = dataclasses.field(
        default="address, birth, card, city, email, iban, ip, latitude, longitude, mail, mobile, "
        "name, passport, password, phone, postal, secret, ssn, street, surname, token, username, "
        "zip",
        metadata=_help(
            "Words, comma-separated, that make a property personal: the schema catalogue keeps no "
            "example values of one whose path has such a word, or one that begins with it when it "
            "has four letters or more. Values that look like an e-mail address, a phone, card or "
            "IP number, or a token are never kept, whatever the name."
        ),
    )
    journal_max_bytes: int = dataclasses.field(
        default=0,
        metadata=_help(
            "Largest size of each topic. Oldest segments go first, read or not. 0: no limit."
        ),
    )
    segment_bytes: int = dataclasses.field(
        default=1024 * 1024 * 1024,
        metadata=_help("Size at which a journal segment is closed before its day is over."),
    )
    warehouse_interval: timedelta = dataclasses.field(
        default=timedelta(milliseconds=500),
        metadata=_help("Shortest time between two loads into the warehouse."),
    )
    warehouse_chunk: int = dataclasses.field(
        default=60_000,
        metadata=_help("Most events in one load; grows up to four times with many tables."),
    )
    warehouse_memory: str = dataclasses.field(
        default="2GB", metadata=_help("Memory DuckDB may use, in DuckDB's own notation.")
    )
    warehouse_threads: int = dataclasses.field(
        default=0,
        metadata=_help("Threads DuckDB may use. 0: half of the cores."),
    )
    warehouse_id: str = dataclasses.field(
        default="warehouse",
        metadata=_help("Id by which integrations.Warehouses.warehouseIds names this warehouse."),
    )
    compact_every: timedelta = dataclasses.field(
        default=timedelta(hours=24),
        metadata=_help(
            "How often rows that were loaded again, after the dedupe window, are removed."
        ),
    )
    snapshot_every: timedelta = dataclasses.field(
        default=timedelta(0),
        metadata=_help(
            "How often a copy of the warehouse for other tools is published, as "
            "snapshots/warehouse.duckdb in the data folder. 0: only by `penstock snapshot`."
        ),
    )
    sql_timeout: timedelta = dataclasses.field(
        default=timedelta(minutes=5), metadata=_help("Longest a query may run.")
    )
    sql_parallel: int = dataclasses.field(
        default=4,
        metadata=_help("Queries that may run at once; one more is refused as busy."),
    )
    retry_limit: int = dataclasses.field(
        default=100_000,
        metadata=_help(
            "Deliveries of one destination that may wait to be tried again; when there are so many "
            "its other events wait in the journal."
        ),
    )
    replay_rate: int = dataclasses.field(
        default=1_000,
        metadata=_help("Events a second that a replay sends to a destination at most."),
    )
    profiles: bool = dataclasses.field(
        default=True,
        metadata=_help(
            "Resolve events to people, and keep their traits and audiences; without it events are "
            "collected, stored and sent on all the same."
        ),
    )
    allow_private_destinations: bool = dataclasses.field(
        default=False,
        metadata=_help(
            "Whether destinations may reach addresses of private networks and of this machine. "
            "Off: whoever may set up a destination can't have Penstock ask what is around it."
        ),
    )
    exports_folder: Path | None = dataclasses.field(
        default=None,
        metadata=_help(
            "Folder below which destinations may write files of this machine. Default: exports "
            "in the data folder."
        ),
    )
    functions_folder: Path | None = dataclasses.field(
        default=None,
        metadata=_help(
            "Folder with the Python files of functions. Default: functions in the data folder."
        ),
    )
    log_format: str = dataclasses.field(
        default="auto",
        metadata=_help(
            "How the engine logs: text, json, or auto: text on a terminal and JSON elsewhere."
        ),
    )
    log_level: str = dataclasses.field(
        default="info",
        metadata=_help("Least level that is logged: debug, info, warning or error."),
    )

    @property
    def journal_folder(self) -> Path:
        """Folder of the embedded journal."""
        return self.data / "journal"

    @property
    def warehouse_file(self) -> Path:
        """The embedded warehouse."""
        return self.data / "warehouse.duckdb"

    @property
    def run_folder(self) -> Path:
        """Folder of what belongs to a running engine, such as its sockets; the lock stays."""
        return self.data / "run"

    @property
    def socket_file(self) -> Path:
        """Socket on which the running engine answers queries."""
        return self.run_folder / "warehouse.sock"

    @property
    def copies_socket(self) -> Path:
        """Socket on which the running engine lets its warehouse be copied."""
        return self.run_folder / "copies.sock"

    @property
    def snapshot_file(self) -> Path:
        """The copy of the warehouse that other tools read."""
        return self.data / "snapshots" / "warehouse.duckdb"

    @property
    def monitor_file(self) -> Path:
        """What the monitor counted."""
        return self.data / "monitor.sqlite"

    @property
    def state_file(self) -> Path:
        """The embedded state store."""
        return self.data / "state.sqlite"

    @property
    def secret_key_file(self) -> Path:
        """The key that encrypts the secrets in the state store."""
        return self.secret_key or self.data / "secret.key"

    @property
    def destinations_folder(self) -> Path:
        """Folder of tools that a user wrote."""
        return self.data / "destinations"

    @property
    def profiles_folder(self) -> Path:
        """Files of ``profiles``, one for each space."""
        return self.data / "profiles"

    @property
    def deliveries_file(self) -> Path:
        """How far each destination is, and what became of its events."""
        return self.data / "deliveries.sqlite"

    @property
    def engine_file(self) -> Path:
        """The settings of the running engine, for commands that were called with others."""
        return self.run_folder / "engine.json"

    @property
    def token_file(self) -> Path:
        """A token for commands of this machine, while the management API serves."""
        return self.run_folder / "cli.token"

    @property
    def exports_root(self) -> Path:
        """Folder below which destinations may write files."""
        return self.exports_folder or self.data / "exports"

    @property
    def functions_root(self) -> Path:
        """Folder with the Python files of functions."""
        return self.functions_folder or self.data / "functions"

    def failure_file(self, label: str) -> Path:
        """Where a role leaves the error that ended it."""
        return self.run_folder / f"{label}.error"


def environment_name(field: str) -> str:
    """Name of the environment variable of a setting."""
    return f"PENSTOCK_{field.upper()}"


def role_label(name: str, partition: int) -> str:
    """What a role is called in messages, and in the names of its files."""
    return f"{name}-{partition}" if name == "collector" else name


def load_settings(
    flags: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Settings from flags (None values are ignored), environment and file, in that order.

    Raises ConfigurationError naming the setting and where its value came from.
    """
    environment = dict(os.environ) if environment is None else environment
    file = Path("penstock.toml") if file is None else file
    stored = _read_file(file)
    hints = get_type_hints(Settings)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        variable = environment_name(field.name)
        if flags and flags.get(field.name) is not None:
            values[field.name] = _convert(field.name, flags[field.name], hints[field.name], "flag")
        elif _is_set(environment.get(variable), hints[field.name]):
            values[field.name] = _convert(
                field.name, environment[variable], hints[field.name], variable
            )
        elif field.name in stored:
            values[field.name] = _convert(
                field.name, stored[field.name], hints[field.name], str(file)
            )
    settings = Settings(**values)
    _check(settings)
    return settings


def _is_set(value: str | None, kind: Any) -> bool:
    """Whether a variable says something: the empty text is a text, but no number or path."""
    return value is not None and (value != "" or kind is str)


def _read_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        stored = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(stored) - known)
    if unknown:
        meant = _nearest(unknown[0], known)
        hint = f"did you mean {meant}?" if meant else "Settings in the documentation lists all"
        raise ConfigurationError(f"{file}: unknown setting {unknown[0]!r}; {hint}")
    return stored


def unknown_variables(environment: dict[str, str]) -> dict[str, str]:
    """Variables named PENSTOCK_* that are no settings, and the name that was meant, if any."""
    known = {field.name for field in dataclasses.fields(Settings)}
    found = {}
    for variable in sorted(environment.keys() - _OTHER_VARIABLES):
        name = variable.removeprefix("PENSTOCK_").lower()
        if variable.startswith("PENSTOCK_") and name not in known:
            meant = _nearest(name, known)
            found[variable] = meant and environment_name(meant)
    return found


def _nearest(name: str, known: set[str]) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(known), 1)), "")


def _convert(name: str, value: Any, kind: Any, origin: str) -> Any:
    kind = next((part for part in get_args(kind) if part is not type(None)), kind)
    try:
        if kind is bool:
            return _truth(value)
        if isinstance(value, bool):
            raise TypeError(value)
        if kind is timedelta:
            return value if isinstance(value, timedelta) else _duration(value)
        if not isinstance(value, _WRITTEN_AS[kind]):
            raise TypeError(value)
        return kind(value)
    except (KeyError, TypeError, ValueError) as error:
        wanted = _WANTED.get(kind, "text")
        raise ConfigurationError(f"{name} ({origin}): {value!r} is not {wanted}") from error


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
        str(value).strip().lower()
    ]


def _duration(value: Any) -> timedelta:
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", str(value).strip())
    if not match:
        raise ValueError(value)
    return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])


def _check(settings: Settings) -> None:
    if settings.unknown_key_status not in (200, 401):
        raise ConfigurationError("unknown_key_status: use 401 or 200")
    if not 0 <= settings.port <= 65535 or not 0 <= settings.console_port <= 65535:
        raise ConfigurationError("port, console_port: between 0 and 65535")
    if settings.log_format not in _LOG_FORMATS:
        raise ConfigurationError(f"log_format: one of {', '.join(_LOG_FORMATS)}")
    if settings.log_level not in _LOG_LEVELS:
        raise ConfigurationError(f"log_level: one of {', '.join(_LOG_LEVELS)}")
    if not re.fullmatch(r"\d+(\.\d+)?\s*([KMGT]i?B|%)", settings.warehouse_memory):
        raise ConfigurationError("warehouse_memory: a size such as 2GB, 512MB or 50%")
    _check_reach(settings)
    _check_sizes(settings)
    _check_proxies(settings.trusted_proxies)


def _check_reach(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ConfigurationError("tls_cert, tls_key: give both, or neither")
    if settings.one_port and settings.console_port == 0:
        raise ConfigurationError("one_port: needs a console_port to hand requests on to, not 0")


def _check_sizes(settings: Settings) -> None:
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        if isinstance(value, timedelta) and value <= timedelta(0):
            if field.name in _MAY_BE_OFF and not value:
                continue
            raise ConfigurationError(f"{field.name}: longer than zero")
        if field.name in _AT_LEAST_ONE and value < 1:
            raise ConfigurationError(f"{field.name}: at least 1")
        if field.name in _AT_LEAST_ZERO and value < 0:
            raise ConfigurationError(f"{field.name}: not below 0")


def _check_proxies(trusted: str) -> None:
    for part in filter(None, map(str.strip, trusted.split(","))):
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError as error:
            raise ConfigurationError(
                f"trusted_proxies: {part!r} is neither an address nor a network such as 10.0.0.0/8"
            ) from error
