"""From a mapping to a function of the event."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from penstock.destinations.mappings.checking import Node, Place, is_directive
from penstock.destinations.mappings.directives import DIRECTIVES, shaped
from penstock.destinations.mappings.values import UNDEFINED, Json, type_name

__all__ = ["MATCHING_KEY", "ROOT_DIRECTIVE", "SYNC_MODE", "compile_mapping"]

ROOT_DIRECTIVE = "__segment_internal_directive"
"""Key of a mapping whose value is one directive, which is given all other keys as its mapping."""
SYNC_MODE = "__segment_internal_sync_mode"
MATCHING_KEY = "__segment_internal_matching_key"


def compile_mapping(mapping: Json) -> Callable[[dict[str, Json]], Json]:
    """Make the function that resolves ``mapping`` for an event; UNDEFINED: nothing was found.

    Its results may share parts with the event and the mapping: they must not be changed. It raises
    InvalidPayload where an event does not go with the mapping. Raises MappingError.
    """
    run = _root(mapping, Place()).run

    def resolve(event: dict[str, Json]) -> Json:
        return run(event)

    return resolve


def _root(mapping: Json, place: Place) -> Node:
    if not isinstance(mapping, dict) or ROOT_DIRECTIVE not in mapping:
        return _compile(mapping, place)
    at = place.below(ROOT_DIRECTIVE)
    directive = mapping[ROOT_DIRECTIVE]
    if not isinstance(directive, dict) or len(directive) != 1:
        raise at.error("must be an object with exactly one directive")
    [(name, options)] = directive.items()
    if not isinstance(options, dict | list):
        raise at.below(name).error("must be an object")
    if isinstance(options, dict):
        others = {key: value for key, value in mapping.items() if key != ROOT_DIRECTIVE}
        options = {**options, "mapping": others}
    return _compile({name: options}, at)


def _compile(mapping: Json, place: Place) -> Node:
    if is_directive(mapping):
        return _directive(mapping, place)
    if isinstance(mapping, dict):
        return _object(mapping, place)
    if isinstance(mapping, list):
        return _array(mapping, place)
    return Node(lambda event: mapping, fixed=True)


def _directive(mapping: dict[str, Json], place: Place) -> Node:
    names = [key for key in mapping if key.startswith("@")]
    if len(names) > 1:
        raise place.error(f"has {len(names)} directives ({', '.join(names)}) where one may be")
    beside = [key for key in mapping if key not in (names[0], "_metadata")]
    if beside:
        raise place.error(f"has {', '.join(beside)} beside {names[0]}; a directive stands alone")
    [name] = names
    if name == "@transform":
        return _transform(mapping[name], place.below(name))
    if name not in DIRECTIVES:
        near = difflib.get_close_matches(name, [*DIRECTIVES, "@transform"], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise place.error(f"{name} is no directive{hint}")
    return DIRECTIVES[name](mapping[name], place.below(name), _compile)


def _object(mapping: dict[str, Json], place: Place) -> Node:
    nodes = {key: _compile(value, place.below(key)) for key, value in mapping.items()}
    if all(node.fixed for node in nodes.values()):
        given = _members(nodes, keep=place.keeps_undefined)(None)
        return Node(lambda event: given, fixed=True)
    return Node(_members(nodes, keep=place.keeps_undefined))


def _members(nodes: dict[str, Node], *, keep: bool) -> Callable[[Json], Json]:
    items = [(key, node.run) for key, node in nodes.items()]
    if keep:
        return lambda event: {key: run(event) for key, run in items}

    def resolve(event: Json) -> Json:
        found = {}
        for key, run in items:
            value = run(event)
            if value is not UNDEFINED:
                found[key] = value
        return found

    return resolve


def _array(mapping: list[Json], place: Place) -> Node:
    nodes = [_compile(item, place.below(str(index))) for index, item in enumerate(mapping)]
    runs = [node.run for node in nodes]
    if all(node.fixed for node in nodes):
        given = [run(None) for run in runs]
        return Node(lambda event: given, fixed=True)
    return Node(lambda event: [run(event) for run in runs])


def _transform(argument: Json, place: Place) -> Node:
    """Resolve ``mapping`` against what ``apply`` makes of the event."""
    options = shaped(argument, place, ("apply", "mapping"))
    apply = _root(options["apply"], place.below("apply").cleaning()).run
    resolve = _compile(options["mapping"], place.below("mapping")).run

    def run(event: Json) -> Json:
        if event is UNDEFINED:
            event = {}
        if not isinstance(event, dict):
            raise place.failure(f"needs an object to work on, got {type_name(event)}")
        return resolve(apply(event))

    return Node(run)
