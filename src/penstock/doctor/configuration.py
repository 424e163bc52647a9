"""Checks of settings, versions and the limits of the machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.doctor.findings import NOTE, PROBLEM, Examined, Finding, Machine
from penstock.errors import ConfigurationError
from penstock.settings import Settings, load_settings, unknown_variables

__all__ = [
    "check_memory",
    "check_open_files",
    "check_proxies",
    "check_tls",
    "check_variables",
    "check_versions",
    "settings_of",
]

_NOWHERE = Path("/dev/null")
_PYTHON = (3, 11)
_DUCKDB = re.compile(r"2\.0\.\d+")
"""As pyproject.toml says: the SQL lock-down knows the syntax tree of 2.0."""
_FEW_FILES = 4096
_OTHERS_BYTES = 400_000_000
"""What the other roles take together, at rest."""
_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def settings_of(flags: dict[str, Any], machine: Machine) -> tuple[Settings, list[Finding]]:
    """The settings as far as they can be read, and what can't."""
    environment = dict(machine.environment)
    try:
        return load_settings(flags, environment, machine.settings_file), []
    except ConfigurationError as error:
        finding = Finding(
            PROBLEM, "settings", str(error), "correct the setting; no command works until then"
        )
    return load_settings(flags, _readable(flags, environment), _NOWHERE), [finding]


def _readable(flags: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
    """The variables that can be read, each with those before it."""
    kept: dict[str, str] = {}
    for name in sorted(name for name in environment if name.startswith("PENSTOCK_")):
        try:
            load_settings(flags, {**kept, name: environment[name]}, _NOWHERE)
        except ConfigurationError:
            continue
        kept[name] = environment[name]
    return kept


def check_variables(place: Examined) -> Iterator[Finding]:
    """PENSTOCK_* variables that have no effect."""
    for name, meant in unknown_variables(dict(place.machine.environment)).items():
        what = f"the environment variable {name} is no setting and has no effect"
        do = f"rename it to {meant}" if meant else f"unset {name}"
        yield Finding(PROBLEM, "variables", what, do)


def check_versions(place: Examined) -> Iterator[Finding]:
    """Python and DuckDB."""
    if place.machine.python < _PYTHON:
        have = ".".join(map(str, place.machine.python))
        yield Finding(
            PROBLEM, "versions", f"Python {have} is too old", "install Python 3.11 or newer"
        )
    if not _DUCKDB.fullmatch(place.machine.duckdb):
        yield Finding(
            PROBLEM,
            "versions",
            f"DuckDB {place.machine.duckdb or 'is missing'} is not the version Penstock is made "
            "for (2.0): SQL could do more than read",
            'pip install "duckdb>=2.0,<2.1"',
        )


def check_open_files(place: Examined) -> Iterator[Finding]:
    """How many connections a collector can hold."""
    if place.machine.open_files < _FEW_FILES:
        yield Finding(
            NOTE,
            "open files",
            f"a process may open {place.machine.open_files} files, and each connection is one",
            "raise the limit: `ulimit -Hn 65536`, or LimitNOFILE=65536 in the systemd unit",
        )


def check_memory(place: Examined) -> Iterator[Finding]:
    """Whether the warehouse may take more than there is."""
    asked = _bytes(place.settings.warehouse_memory, place.machine.memory_bytes)
    room = place.machine.memory_bytes - _OTHERS_BYTES
    if asked > room:
        yield Finding(
            PROBLEM,
            "memory",
            f"warehouse_memory is {place.settings.warehouse_memory}, but the machine has "
            f"{place.machine.memory_bytes / 1e9:.1f} GB and the other roles need some of it: a "
            "large load or query could end the process",
            f"set warehouse_memory to {max(room, 200_000_000) / 1e6:.0f}MB or less",
        )


def _bytes(size: str, memory: int) -> float:
    """A size in DuckDB's notation."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[KMGT])?.*", size)
    if match is None:
        return 0
    number = float(match[1])
    return number * memory / 100 if match[2] == "%" else number * _UNITS.get(match[2], 1)


def check_proxies(place: Examined) -> Iterator[Finding]:
    """Proxies whose word anybody could give."""
    for part in filter(None, map(str.strip, place.settings.trusted_proxies.split(","))):
        network = ipaddress.ip_network(part, strict=False)
        if network.prefixlen == 0:
            yield Finding(
                PROBLEM,
                "trusted proxies",
                f"trusted_proxies has {part}, which is everybody: any sender can pretend to be at "
                "another address",
                "name the addresses of your own proxies only",
            )


def check_tls(place: Examined) -> Iterator[Finding]:
    """Write keys and events that travel where others can read them."""
    settings = place.settings
    url = urlsplit(settings.public_url)
    if url.scheme == "http" and not _is_local(url.hostname or ""):
        yield Finding(
            PROBLEM,
            "TLS",
            f"public_url is {settings.public_url}: events and write keys travel unencrypted",
            "put a proxy with TLS in front, or set tls_cert and tls_key; then use https",
        )
    elif settings.tls_cert is None and url.scheme != "https" and _is_public(settings.host):
        yield Finding(
            PROBLEM if settings.host not in ("0.0.0.0", "::", "") else NOTE,
            "TLS",
            f"the collector listens on {settings.host}:{settings.port} without TLS",
            "set tls_cert and tls_key; or, behind a proxy with TLS, set host to 127.0.0.1 and "
            "public_url to its https address",
        )


def _is_public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return not _is_local(host)
    return address.is_unspecified or address.is_global


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host in ("", "localhost") or host.endswith((".localhost", ".local", ".internal"))
