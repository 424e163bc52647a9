"""What the fields of a payload are made of: JSON with directives such as ``{"@path": "$.event"}``.

A mapping is compiled once to nested closures; paths are split and literals resolved then, so an
event costs only the look-ups. What can be known to be wrong is refused at that moment.

Modules, from the values to the language: ``values`` (how values become text, truth and numbers),
``paths``, ``texts`` (@template, @case, @replace, @json), ``shapes`` (@merge, @flatten, nulls),
``liquid``, ``checking`` (what an argument must be), ``directives`` and ``compiling``.
"""

from __future__ import annotations

from penstock.destinations.mappings.checking import MappingError
from penstock.destinations.mappings.compiling import (
    MATCHING_KEY,
    ROOT_DIRECTIVE,
    SYNC_MODE,
    compile_mapping,
)
from penstock.destinations.mappings.values import UNDEFINED

__all__ = [
    "MATCHING_KEY",
    "ROOT_DIRECTIVE",
    "SYNC_MODE",
    "UNDEFINED",
    "MappingError",
    "compile_mapping",
]
