"""What a destination and a function may be, whether a file or a request says it."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from penstock.destinations.contract import Destination
from penstock.destinations.model import DestinationSetup, FunctionSetup, Retrying
from penstock.errors import ConfigurationError, NotFound
from penstock.workspace.rules import SLUG

__all__ = [
    "MOST_FILTERS",
    "MOST_MAPPINGS",
    "check_destination",
    "check_function",
    "secret_settings",
    "tool_of",
]

MOST_FILTERS = 10
MOST_MAPPINGS = 50
_RESERVED = frozenset({"all", "penstock", "warehouses"})
"""They have a meaning of their own in an event's ``integrations``, or in Penstock."""
_MOST_PARALLEL = 1000
_LONGEST_WINDOW_S = 30 * 86_400.0


def tool_of(setup: DestinationSetup, folder: Path | None) -> Destination:
    """The definition of its type. Raises ConfigurationError."""
    from penstock.destinations.registry import definition

    try:
        return definition(setup.type, folder)
    except NotFound as error:
        raise ConfigurationError(f"type: {error}") from error


def secret_settings(tool: Destination) -> frozenset[str]:
    """Keys of the settings that are never shown."""
    return frozenset(each.key for each in tool.settings if each.secret)


def check_destination(
    tool: Destination,
    setup: DestinationSetup,
    *,
    sources: Collection[str],
    functions: Collection[str],
) -> None:
    """Raise ConfigurationError with what to write instead.

    Secrets are in clear; ``sources`` and ``functions`` are the slugs that there are.
    """
    from penstock.destinations.setup import check_setup  # takes memory that few need

    _check_slug(setup.slug)
    if len(setup.filters) > MOST_FILTERS:
        raise ConfigurationError(f"filters: at most {MOST_FILTERS}")
    if len(setup.mappings or ()) > MOST_MAPPINGS:
        raise ConfigurationError(f"mappings: at most {MOST_MAPPINGS}")
    if not all(setup.consent):
        raise ConfigurationError("consent: a category is text such as marketing")
    _check_known("sources", "source", setup.sources or (), sources)
    _check_known("functions", "function", setup.functions, functions)
    _check_delivery(setup.delivery)
    check_setup(tool, setup)


def check_function(setup: FunctionSetup, *, sources: Collection[str]) -> None:
    """Raise ConfigurationError with what to write instead."""
    _check_slug(setup.slug)
    path = PurePosixPath(setup.file)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".py" or "\\" in setup.file:
        raise ConfigurationError("file: a Python file in the folder functions, such as loyal.py")
    _check_known("sources", "source", setup.sources, sources)
    if not 0 < setup.timeout <= 60:
        raise ConfigurationError("timeout: more than 0 and at most 60 seconds")
    if not 16 * 1024**2 <= setup.memory <= 4 * 1024**3:
        raise ConfigurationError("memory: between 16777216 (16 MB) and 4294967296 (4 GB) bytes")
    if not all(setup.network):
        raise ConfigurationError("network: names of hosts, such as api.example.com")


def _check_slug(slug: str) -> None:
    if not SLUG.fullmatch(slug) or slug in _RESERVED:
        raise ConfigurationError(
            "a slug is lower-case letters, digits and _, begins with a letter, and is "
            f"none of {', '.join(sorted(_RESERVED))}"
        )


def _check_known(field: str, kind: str, named: Collection[str], known: Collection[str]) -> None:
    for slug in named:
        if slug not in known:
            close = difflib.get_close_matches(slug, sorted(known), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigurationError(f"{field}: there is no {kind} {slug}{hint}")
    if len(set(named)) < len(named):
        raise ConfigurationError(f"{field}: one stands twice")


def _check_delivery(delivery: Retrying) -> None:
    if not 0 <= delivery.window <= _LONGEST_WINDOW_S:
        raise ConfigurationError("delivery.window: seconds, from 0 to 2592000 (30 days)")
    rate = delivery.requests_per_second
    if rate is not None and rate < 0:
        raise ConfigurationError("delivery.requests_per_second: not below 0; 0 has no limit")
    parallel = delivery.concurrency
    if parallel is not None and not 1 <= parallel <= _MOST_PARALLEL:
        raise ConfigurationError(f"delivery.concurrency: from 1 to {_MOST_PARALLEL}")
    if delivery.timeout is not None and not 0 < delivery.timeout <= 600:
        raise ConfigurationError("delivery.timeout: more than 0 and at most 600 seconds")
