"""From an event to the payload of an action: mapping, then tidying and checking by its fields.

Tidying drops null where a field does not allow it and empty texts, makes lists for fields that are
``multiple``, turns texts into numbers and the like where the type asks for it, and leaves out what
no field names. A payload shares no list or object with the event, so that it may be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.destinations.contract import Action, InvalidPayload, Json, Payload
from penstock.destinations.mappings import (
    MATCHING_KEY,
    SYNC_MODE,
    UNDEFINED,
    compile_mapping,
)
from penstock.destinations.payloads.checks import Check, Wrong, checker, copied
from penstock.destinations.payloads.empties import tidier
from penstock.destinations.payloads.schema import Schema, schema_of

__all__ = ["compile_payload"]

Event = dict[str, Any]
_PLAIN_TEXT = Schema(("string",))


def compile_payload(action: Action, fields: Mapping[str, Json]) -> Callable[[Event], Payload]:
    """Make the function from an event to a payload of ``action``.

    ``fields`` are mappings, laid over the defaults of the action's fields; null leaves one out. The
    function raises InvalidPayload, which names the fields at fault. Raises MappingError.
    """
    resolve = compile_mapping(_mapping(action, fields))
    prepare = {field.key: _prepared(field.key, schema_of(field)) for field in action.fields}
    required = [field.key for field in action.fields if field.required]
    others = copied if action.open or not action.fields else _left_out

    def payload(event: Event) -> Payload:
        found = resolve(event)
        if type(found) is not dict:
            raise InvalidPayload("the mapping gave no object for the payload")
        made: Payload = {}
        wrong: list[str] = []
        for key, value in found.items():
            try:
                value = prepare.get(key, others)(value)
            except Wrong as problem:
                wrong.append(str(problem))
                continue
            if value is not UNDEFINED:
                made[key] = value
        for key in required:
            if key not in made and not _named(key, wrong):
                wrong.append(f"field {key} is required")
        if wrong:
            raise InvalidPayload("; ".join(wrong))
        return made

    return payload


def _mapping(action: Action, fields: Mapping[str, Json]) -> dict[str, Json]:
    mapping = {field.key: field.default for field in action.fields} | dict(fields)
    return {
        key: value
        for key, value in mapping.items()
        if value is not None and key not in (SYNC_MODE, MATCHING_KEY)
    }


def _prepared(key: str, schema: Schema) -> Check:
    tidy, check = tidier(schema), checker(schema, f"field {key}")
    is_list = schema.types == ("array",)
    is_plain_text = schema == _PLAIN_TEXT

    def prepare(value: Json) -> Json:
        if is_plain_text and type(value) is str:
            return value or UNDEFINED
        value = tidy(value)
        if value is UNDEFINED or value == "":
            return UNDEFINED
        if is_list and type(value) is not list:
            value = [value]
        return check(value)

    return prepare


def _left_out(value: Json) -> Json:
    return UNDEFINED


def _named(key: str, wrong: list[str]) -> bool:
    return any(problem.startswith((f"field {key} ", f"field {key}.")) for problem in wrong)
