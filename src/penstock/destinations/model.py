"""A destination as a user set it up: part of the workspace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

__all__ = ["DestinationSetup", "Filter", "FunctionSetup", "MappingSetup", "Retrying"]


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule for which events, or which parts of them, a destination gets.

    Exactly one of ``drop``, ``only``, ``sample``, ``drop_properties`` and ``allow_properties`` is
    given. Sampling comes first, then drop and only, then the properties, whatever their order.
    """

    drop: str | None = None
    """Events for which this condition holds are not sent."""
    only: str | None = None
    """Only events for which this condition holds are sent."""
    sample: float | None = None
    """The part of events that is sent, from 0 to 1."""
    by: str = ""
    """With ``sample``: a path such as ``userId``; events with the same value share their fate."""
    when: str = ""
    """With ``sample``, ``drop_properties`` and ``allow_properties``: for which events; all."""
    drop_properties: list[str] | None = None
    """Paths to leave out, such as ``properties.products.price``."""
    allow_properties: list[str] | None = None
    """Paths below ``properties``, ``traits`` or ``context``: of each of these three that is named,
    only the paths named here stay."""
    name: str = ""
    enabled: bool = True


class MappingSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When an action is taken, and what its fields are made of."""

    action: str
    name: str = ""
    trigger: str = ""
    """Empty: the action's default."""
    fields: dict[str, Any] = {}
    """Laid over the defaults of the action's fields; a field set to null is left out."""
    enabled: bool = True
    sync_mode: str = ""
    batching: bool | None = None
    """None: as the action says."""
    batch_size: int | None = None


class Retrying(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a destination is sent to."""

    window: float = timedelta(hours=4).total_seconds()
    """Seconds for which a failed event is tried again."""
    requests_per_second: float | None = None
    """None: as the tool's definition says; 0: as many as come."""
    concurrency: int | None = None
    timeout: float | None = None
    ordered: bool = False
    """Whether events of one person are sent one after the other, in order."""


class DestinationSetup(msgspec.Struct, frozen=True, omit_defaults=True):
    """An instance of a tool."""

    slug: str
    type: str
    """Slug of the tool's definition."""
    name: str = ""
    enabled: bool = True
    sources: tuple[str, ...] | None = None
    """Slugs; None: all sources."""
    settings: dict[str, Any] = {}
    """Secrets in clear here, encrypted in the state store."""
    filters: tuple[Filter, ...] = ()
    mappings: tuple[MappingSetup, ...] | None = None
    """None: the tool's presets."""
    consent: tuple[str, ...] = ()
    """Categories that the event's consent must grant, all of them."""
    delivery: Retrying = Retrying()
    functions: tuple[str, ...] = ()
    """Slugs of functions that each event passes before its mappings, in order."""


class FunctionSetup(msgspec.Struct, frozen=True, omit_defaults=True):
    """User code that events pass."""

    slug: str
    file: str
    """Path of a Python file, below the workspace folder's ``functions``."""
    sources: tuple[str, ...] = ()
    """Sources whose events pass it before they are stored for good; empty: none, only the
    destinations that name it."""
    settings: dict[str, Any] = {}
    enabled: bool = True
    timeout: float = 5.0
    """Seconds one event may take."""
    memory: int = 128 * 1024 * 1024
    """Bytes it may take."""
    network: tuple[str, ...] = ()
    """Hosts it may connect to; empty: none."""
