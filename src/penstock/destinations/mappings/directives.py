"""The directives of a mapping, each compiled by a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from penstock.destinations.mappings import texts
from penstock.destinations.mappings.checking import (
    Compile,
    Node,
    Place,
    is_directive,
    members,
    optional_flag,
    text,
    text_or_directive,
)
from penstock.destinations.mappings.paths import Read, reader, without_root
from penstock.destinations.mappings.shapes import (
    flattened,
    merged,
    without_nulls,
    without_undefined,
)
from penstock.destinations.mappings.values import (
    UNDEFINED,
    Json,
    is_blank,
    is_true,
    type_name,
)

__all__ = ["DIRECTIVES", "shaped"]

LONGEST_PATTERN = 10
LONGEST_TEXT = 1_000_000

Directive = Callable[[Json, Place, Compile], Node]


def shaped(argument: Json, place: Place, needed: tuple[str, ...]) -> dict[str, Json]:
    """``argument``, an object with all keys of ``needed``, each an object or a directive."""
    options: dict[str, Json] = {}
    for key in needed:
        options = members(argument, place, key)
        if not isinstance(options[key], dict):
            raise place.below(key).error("must be an object or a directive")
    return options


def _if(argument: Json, place: Place, compile_: Compile) -> Node:
    key = "exists" if not isinstance(argument, dict) or "blank" not in argument else "blank"
    options = members(argument, place, key)
    if not is_true(options.get("exists")) and not is_true(options.get("blank")):
        raise place.error('needs "exists" or "blank"')
    key = "exists" if "exists" in options else "blank"
    condition = compile_(options[key], place.below(key).cleaning()).run
    nothing = Node(lambda event: UNDEFINED, fixed=True)
    then = compile_(options["then"], place.below("then")) if "then" in options else nothing
    otherwise = (
        compile_(options["else"], place.below("else")) if is_true(options.get("else")) else nothing
    )
    then_run, else_run = then.run, otherwise.run
    if key == "blank":
        return Node(lambda event: (else_run if is_blank(condition(event)) else then_run)(event))

    def choose(event: Json) -> Json:
        value = condition(event)
        return else_run(event) if value is None or value is UNDEFINED else then_run(event)

    return Node(choose)


def _path(argument: Json, place: Place, compile_: Compile) -> Node:
    return _by_text(argument, place, compile_, lambda path: reader(without_root(path)))


def _template(argument: Json, place: Place, compile_: Compile) -> Node:
    node = _by_text(argument, place, compile_, texts.template)
    return Node(node.run, fixed=isinstance(argument, str) and "{{" not in argument)


def _by_text(argument: Json, place: Place, compile_: Compile, read: Callable[[str], Read]) -> Node:
    text_or_directive(argument, place)
    if isinstance(argument, str):
        return Node(read(argument))
    name = compile_(argument, place.cleaning()).run

    def run(event: Json) -> Json:
        found = name(event)
        if not isinstance(found, str):
            raise place.failure(f"needs a text, got {type_name(found)}")
        return read(found)(event)

    return Node(run)


def _literal(argument: Json, place: Place, compile_: Compile) -> Node:
    return compile_(argument, place)


def _case(argument: Json, place: Place, compile_: Compile) -> Node:
    options = members(argument, place, "operator")
    operator = options["operator"]
    if operator not in ("lower", "upper"):
        raise place.below("operator").error("must be lower or upper")
    if "value" in options:
        text_or_directive(options["value"], place.below("value"))
    if not options.get("value"):
        return Node(lambda event: UNDEFINED, fixed=True)
    value = compile_(options["value"], place.below("value"))
    return Node(lambda event: texts.changed_case(value.run(event), operator), value.fixed)


def _replace(argument: Json, place: Place, compile_: Compile) -> Node:
    options = {"replacement": "", **members(argument, place, "pattern")}
    members(options, place, "value")
    text_or_directive(options["value"], place.below("value"))
    pairs = [
        (
            text(options, "pattern", place, shortest=1, longest=LONGEST_PATTERN),
            text(options, "replacement", place, longest=LONGEST_PATTERN),
        )
    ]
    if options.get("pattern2"):
        options = {**options, "replacement2": options.get("replacement2") or ""}
        second = text(options, "pattern2", place, longest=LONGEST_PATTERN)
        pairs.append((second, text(options, "replacement2", place, longest=LONGEST_PATTERN)))
    replace = texts.replacer(
        pairs,
        ignore_case=optional_flag(options, "ignorecase", place, False),
        everywhere=optional_flag(options, "global", place, True),
    )
    if not options["value"]:
        return Node(lambda event: UNDEFINED, fixed=True)
    value = compile_(options["value"], place.below("value"))
    return Node(lambda event: replace(value.run(event)), value.fixed)


def _array_path(argument: Json, place: Place, compile_: Compile) -> Node:
    if not isinstance(argument, list) or not argument:
        raise place.error("takes a list of a path and, if wished, the shape of each element")
    path, shape = argument[0], argument[1] if len(argument) > 1 else None
    text_or_directive(path, place.below("0"))
    root = (
        reader(without_root(path))
        if isinstance(path, str)
        else compile_(path, place.below("0").cleaning()).run
    )
    if not isinstance(shape, dict) or not shape:
        return Node(root)
    each = compile_(shape, place.below("1")).run

    def resolve(event: Json) -> Json:
        found = root(event)
        if isinstance(found, list):
            return [each(item) for item in found]
        return [each(found)] if isinstance(found, dict) else found

    return Node(resolve)


def _flatten(argument: Json, place: Place, compile_: Compile) -> Node:
    options = members(argument, place, "value")
    members(argument, place, "separator")
    separator = text(options, "separator", place, shortest=1, longest=LONGEST_TEXT)
    omit_arrays = is_true(options.get("omitArrays"))
    value = compile_(options["value"], place.below("value").keeping()).run
    if place.keeps_undefined:
        return Node(lambda event: flattened(value(event), separator, omit_arrays))
    return Node(lambda event: without_undefined(flattened(value(event), separator, omit_arrays)))


def _json(argument: Json, place: Place, compile_: Compile) -> Node:
    options = members(argument, place, "mode")
    members(argument, place, "value")
    if options["mode"] not in ("encode", "decode"):
        raise place.below("mode").error("must be encode or decode")
    if not is_true(options["value"]):
        raise place.below("value").error("must be a directive or a value that is not empty")
    value = compile_(options["value"], place.below("value").cleaning())
    work = texts.encoded if options["mode"] == "encode" else texts.decoded
    return Node(lambda event: work(value.run(event)), value.fixed)


def _merge(argument: Json, place: Place, compile_: Compile) -> Node:
    options = members(argument, place, "objects")
    members(argument, place, "direction")
    objects, direction = options["objects"], options["direction"]
    if direction not in ("left", "right"):
        raise place.below("direction").error("must be left or right")
    if not isinstance(objects, list):
        raise place.below("objects").error("must be a list of objects and directives")
    runs = []
    for index, operand in enumerate(objects):
        at = place.below("objects").below(str(index))
        if not isinstance(operand, dict):
            raise at.error("must be an object or a directive")
        runs.append(compile_(operand, at.keeping()).run)
    if direction == "left":
        runs.reverse()
    if place.keeps_undefined:
        return Node(lambda event: merged([run(event) for run in runs]))
    return Node(lambda event: without_undefined(merged([run(event) for run in runs])))


def _exclude_when_null(argument: Json, place: Place, compile_: Compile) -> Node:
    value = compile_(argument, place).run

    def resolve(event: Json) -> Json:
        found = value(event)
        if found is None:
            return UNDEFINED
        if not isinstance(found, dict):
            return found
        cleaned = without_nulls(found, UNDEFINED)
        return cleaned if place.keeps_undefined else without_undefined(cleaned)

    return Node(resolve)


def _liquid(argument: Json, place: Place, compile_: Compile) -> Node:
    if not isinstance(argument, str) or is_directive(argument):
        raise place.error(f"takes a template as text, not {type_name(argument)}")
    from penstock.destinations.mappings.liquid import liquid_template  # loads a library

    return Node(liquid_template(argument, place))


DIRECTIVES: Final[Mapping[str, Directive]] = {
    "@if": _if,
    "@path": _path,
    "@template": _template,
    "@literal": _literal,
    "@case": _case,
    "@replace": _replace,
    "@arrayPath": _array_path,
    "@flatten": _flatten,
    "@json": _json,
    "@merge": _merge,
    "@excludeWhenNull": _exclude_when_null,
    "@liquid": _liquid,
}
"""By name; @transform is the compiler's own, as what it applies may be a root mapping."""
