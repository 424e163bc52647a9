"""Salesforce's REST API for one organisation, refusing what its documentation refuses.

Sources: developer.salesforce.com/docs/platform/api-rest/guide/ dome-sobject-create.html,
dome-update-fields.html, dome-upsert.html, dome-delete-record.html, resources-query.html,
resources-composite-sobjects-collections*.html (200 records, ``attributes.type``, ``id`` only for
updates, no record twice, a result for each in order) and errorcodes.html;
docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm;
docs/atlas.en-us.object_reference.meta (types of fields, and which a new record needs).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import unquote

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import Check, Json, Wrong, boolean, number, object_of, text

__all__ = ["HOME", "TOKEN", "Organisation"]

HOME = "https://toast.my.salesforce.com"
TOKEN = "00D!token"
_ROOT = f"{HOME}/services/data/v53.0"
_TERM = re.compile(r"(\w+) = ('(?:[^'\\]|\\['\\nrt])*'|-?\d+(?:\.\d+)?|true|false)")
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _day(value: Json, place: str) -> None:
    text(value, place)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value) is None:
        raise Wrong(f"{place}: JSON_PARSER_ERROR: no date: {value!r}")


def _amount(value: Json, place: str) -> None:
    """Numbers may stand in texts."""
    number(float(value) if isinstance(value, str) else value, place)


def _texts(names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), text)


def _place(name: str) -> dict[str, Check]:
    return {name + part: text for part in ("Street", "City", "State", "PostalCode", "Country")}


_PERSON = _texts("LastName FirstName Email Phone Title User_Id__c Langs__c") | {"Age__c": number}
_FIELDS: dict[str, dict[str, Check]] = {
    "Lead": _PERSON | _texts("Company Website") | _place(""),
    "Contact": _PERSON
    | _texts("AccountId")
    | _place("Mailing")
    | {"Account": object_of({"User_Id__c": text})},
    "Account": _texts("Name AccountNumber Phone Description Website User_Id__c")
    | _place("Billing")
    | _place("Shipping")
    | {"NumberOfEmployees": number},
    "Opportunity": _texts("Name StageName Description") | {"CloseDate": _day, "Amount": _amount},
    "Case": _texts("Description Subject"),
    "Order__c": _texts("Order_Id__c Note__c") | {"Total__c": number, "Paid__c": boolean},
}
_NEEDED = {
    "Lead": ("LastName", "Company"),
    "Contact": ("LastName",),
    "Account": ("Name",),
    "Opportunity": ("Name", "StageName", "CloseDate"),
}
_EXTERNAL = ("User_Id__c", "Order_Id__c")
Record = dict[str, Json]


class _Refused(Exception):
    """Not as the organisation wants it: status, code and message."""


class Organisation:
    """Keeps records by object and id."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {name: {} for name in _FIELDS}
        self.locked: set[str] = set()
        """Ids of records that somebody else is changing."""
        self._made = 0

    def __call__(self, request: Request) -> Answer:
        """What it answers; its own refusals are lists, as documented."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _said(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if not request.url.startswith(f"{_ROOT}/"):
            raise Wrong(f"there is no {request.url}", 404)
        way = [unquote(part) for part in request.url.removeprefix(f"{_ROOT}/").split("/")]
        try:
            if way == ["query", ""] and request.method == "GET":
                return self._query((request.query or {})["q"])
            if way[:2] == ["composite", "sobjects"]:
                return self._together(request, way[2:])
            if way[0] == "sobjects":
                return self._single(request, way[1:])
        except _Refused as refused:
            return _said(*refused.args)
        raise Wrong(f"there is no {request.method} {request.url}", 404)

    def find(self, name: str, **fields: Json) -> list[str]:
        """Ids of the records with these values."""
        return [
            known
            for known, record in self.records[name].items()
            if all(record.get(key) == value for key, value in fields.items())
        ]

    def _query(self, soql: str) -> Answer:
        asked = re.fullmatch(r"SELECT Id FROM (\w+) WHERE (.+)", soql, re.DOTALL)
        if asked is None or asked[1] not in _FIELDS:
            raise Wrong(f"MALFORMED_QUERY: {soql}")
        terms = _TERM.findall(asked[2])
        for word in ("AND", "OR"):
            if f" {word} ".join(f"{name} = {value}" for name, value in terms) == asked[2]:
                break
        else:
            raise Wrong(f"MALFORMED_QUERY: {soql}")
        for name, _ in terms:
            if name != "Id" and name not in _FIELDS[asked[1]]:
                raise Wrong(f"INVALID_FIELD: no {name} in {asked[1]}")
        wanted = [(name, _literal(value)) for name, value in terms]
        of_all = all if word == "AND" else any
        found = [
            {"attributes": {"type": asked[1]}, "Id": known}
            for known, record in self.records[asked[1]].items()
            if of_all(_same((record | {"Id": known}).get(name), value) for name, value in wanted)
        ]
        return _json(200, {"totalSize": len(found), "done": True, "records": found})

    def _single(self, request: Request, way: list[str]) -> Answer:
        name = self._object(way[0])
        if request.method == "POST" and len(way) == 1:
            return _json(201, {"id": self._create(name, request.json), "success": True})
        if request.method == "PATCH" and len(way) == 3:
            if way[1] in request.json:
                raise Wrong("INVALID_FIELD: the external id stands in the address alone")
            known, made = self._upsert(name, way[1], way[2], request.json)
            return _json(201 if made else 200, {"id": known, "success": True, "created": made})
        if request.method == "PATCH" and len(way) == 2:
            self._update(name, way[1], request.json)
            return Answer(204)
        if request.method == "DELETE" and len(way) == 2 and request.json is None:
            self._delete(way[1])
            return Answer(204)
        raise Wrong(f"there is no {request.method} sobjects/{'/'.join(way)}", 405)

    def _together(self, request: Request, way: list[str]) -> Answer:
        if request.method == "DELETE":
            query = dict(request.query or {})
            ids = query.pop("ids").split(",")
            if query != {"allOrNone": "false"} or len(ids) > 200:
                raise Wrong(f"no such question: {query}")
            return _json(
                200, [self._result(lambda known=known: self._delete(known)) for known in ids]
            )
        body = request.json
        object_of({"allOrNone": boolean, "records": _records}, ("records",))(body, "body")
        does: dict[tuple[str, int], Callable[..., str]] = {
            ("POST", 0): self._created,
            ("PATCH", 0): self._updated,
            ("PATCH", 2): self._upserted,
        }
        if (request.method, len(way)) not in does:
            raise Wrong(f"there is no {request.method} composite/sobjects/{'/'.join(way)}", 405)
        one = does[request.method, len(way)]
        keys = [each.get(way[1] if way else "id") for each in body["records"]]
        twice = {key for key in keys if key is not None and keys.count(key) > 1}
        results = []
        for key, record in zip(keys, body["records"], strict=True):
            if key in twice:
                results.append(_failed("DUPLICATE_VALUE", f"twice: {key}"))
            else:
                results.append(self._result(lambda record=record: one(record, *way)))
        return _json(200, results)

    def _created(self, record: Record) -> str:
        return self._create(self._object(record["attributes"]["type"]), _bare(record))

    def _updated(self, record: Record) -> str:
        given = _bare(record)
        known = given.pop("id")
        self._update(self._object(record["attributes"]["type"]), known, given)
        return str(known)

    def _upserted(self, record: Record, name: str, field: str) -> str:
        if record["attributes"]["type"] != name:
            raise Wrong("only records of the object in the address")
        given = _bare(record)
        return self._upsert(name, field, given.pop(field), given)[0]

    @staticmethod
    def _result(does: Json) -> Json:
        try:
            return {"id": does(), "success": True, "errors": []}
        except _Refused as refused:
            return _failed(refused.args[1], refused.args[2])

    def _object(self, name: str) -> str:
        if name not in _FIELDS:
            raise Wrong(f"NOT_FOUND: no object {name}", 404)
        return name

    def _create(self, name: str, given: Record) -> str:
        self._check(name, given)
        if lacking := [key for key in _NEEDED.get(name, ()) if not given.get(key)]:
            raise _Refused(400, "REQUIRED_FIELD_MISSING", f"Required: {lacking}")
        self._made += 1
        known = f"00Q{self._made:015d}"
        self.records[name][known] = dict(given)
        return known

    def _update(self, name: str, known: str, given: Record) -> None:
        self._check(name, given)
        if known not in self.records[name]:
            raise _Refused(404, "NOT_FOUND", "The requested resource does not exist")
        if known in self.locked:
            raise _Refused(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
        self.records[name][known] |= given

    def _upsert(self, name: str, field: str, value: str, given: Record) -> tuple[str, bool]:
        if field not in _EXTERNAL or field not in _FIELDS[name]:
            raise Wrong(f"NOT_FOUND: {field} is no external id of {name}", 404)
        if not (known := self.find(name, **{field: value})):
            return self._create(name, {**given, field: value}), True
        self._update(name, known[0], given)
        return known[0], False

    def _delete(self, known: str) -> str:
        for records in self.records.values():
            if records.pop(known, None) is not None:
                return known
        raise _Refused(404, "ENTITY_IS_DELETED", "entity is deleted")

    @staticmethod
    def _check(name: str, given: Record) -> None:
        object_of(_FIELDS[name])({k: v for k, v in given.items() if v is not None}, name)
        if given.get("Email") and not _ADDRESS.fullmatch(given["Email"].strip()):
            raise _Refused(400, "INVALID_EMAIL_ADDRESS", f"Email: {given['Email']}")


def _records(value: Json, place: str) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= 200:
        raise Wrong(f"{place}: 1 to 200 records")
    for record in value:
        if set(record["attributes"]) != {"type"}:
            raise Wrong(f"{place}: attributes need a type alone")


def _bare(record: Record) -> Record:
    return {key: value for key, value in record.items() if key != "attributes"}


def _literal(text: str) -> Json:
    if not text.startswith("'"):
        return json.loads(text)
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0][1]), text[1:-1])


def _same(value: Json, wanted: Json) -> bool:
    """SOQL compares texts without regard to case."""
    both = (value, wanted)
    return value == wanted or (
        all(isinstance(each, str) for each in both) and (value.lower() == wanted.lower())
    )


def _failed(code: str, message: str) -> Json:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


def _said(status: int, code: str, message: str) -> Answer:
    return _json(status, [{"errorCode": code, "message": message}])


def _json(status: int, body: Json) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())
