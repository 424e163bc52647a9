"""What becomes of a payload: the fields of a record, and the question which record it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import InvalidPayload, Json, Payload

__all__ = ["Kind", "external_id", "new_record", "object_of", "question", "record_id", "record_of"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_DAY = re.compile(r"(?a)\d{4}-\d{2}-\d{2}")
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Kind:
    """An object of Salesforce as far as it is told."""

    object: str
    """Its name in the API; empty: the payload says it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Field of Salesforce → field of the payload."""
    needed: tuple[str, ...] = ()
    """Without which none can be created."""
    filled: Mapping[str, str] = field(default_factory=dict)
    """What is put into a new one that has no value for it."""


def object_of(kind: Kind, given: Payload) -> str:
    """The object's name in the API."""
    return kind.object or _name(given["customObjectName"])


def record_of(kind: Kind, given: Payload) -> dict[str, Json]:
    """The record's fields; own fields come last: they are what the user asked for."""
    if not kind.object and given.get("customFields") is None:
        raise InvalidPayload("nothing is told of the record: map customFields")
    record = renamed(given, kind.names)
    if "CloseDate" in record:
        record["CloseDate"] = _day(record["CloseDate"])
    for name, value in given.get("customFields", {}).items():
        record[_name(name)] = _value(value)
    return record


def new_record(kind: Kind, given: Payload) -> dict[str, Json]:
    """The same of a record that is not there yet. Raises InvalidPayload if that can't be."""
    made = {**kind.filled, **record_of(kind, given)}
    if missing := [name for name in kind.needed if made.get(name) in (None, "")]:
        raise InvalidPayload(f"a new {kind.object} needs {', '.join(missing)}")
    return made


def external_id(given: Payload) -> tuple[str, str] | None:
    """Its field, and its value."""
    told = given.get("bulkUpsertExternalId") or {}
    name, value = told.get("externalIdName"), told.get("externalIdValue")
    return (_name(name), str(value)) if name and value else None


def record_id(given: Payload) -> str | None:
    """Salesforce's id, if it is told."""
    told = given.get("bulkUpdateRecordId") or (given.get("traits") or {}).get("Id")
    return str(told) if told else None


def question(object_name: str, given: Payload) -> str:
    """SOQL that asks for the ids of the records with the values of ``traits``."""
    every = given.get("recordMatcherOperator") == "AND"
    wanted = given.get("traits") or {}
    if not every:
        wanted = {name: value for name, value in wanted.items() if value is not None}
    if not wanted:
        raise InvalidPayload("nothing tells which record it is: map traits")
    both = " AND " if every else " OR "
    terms = both.join(f"{_name(name)} = {_literal(value)}" for name, value in wanted.items())
    return f"SELECT Id FROM {object_name} WHERE {terms}"


def _name(name: str) -> str:
    """The name, if it can be one. Raises InvalidPayload."""
    if _NAME.fullmatch(name) is None:
        raise InvalidPayload(f"{name!r} is no name of a field or object in Salesforce")
    return name


def _value(value: Json) -> Json:
    """Several choices are one text in Salesforce."""
    if isinstance(value, list):
        return ";".join(str(each) for each in value if not isinstance(each, dict | list))
    return value


def _day(value: str) -> str:
    if _DAY.fullmatch(value):
        return value
    when = moment(value)
    if when is None:
        raise InvalidPayload("close_date is no date")
    return f"{when:%Y-%m-%d}"


def _literal(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise InvalidPayload("traits can hold texts, numbers and truth values only")
    return "'" + "".join(_ESCAPED.get(sign, sign) for sign in value) + "'"
