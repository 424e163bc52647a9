"""HubSpot's CRM and events for one account, refusing what its documentation refuses.

Sources: developers.hubspot.com/docs/api-reference/ crm-contacts-v3 (idProperty, batch/read with the
missing named, batch/create, batch/update, 100 a batch), crm-companies-v3, crm-search (5 groups of 6
filters), crm-properties-v3, crm-associations-v4, events-send-event-completions;
developers.hubspot.com/docs/guides/api/crm/properties (texts with semicolons for several choices;
unknown properties are refused with PROPERTY_DOESNT_EXIST) and
knowledge.hubspot.com/properties/change-lifecycle-stages (a stage goes only forwards until it is
emptied).
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Json,
    Wrong,
    anything,
    integer,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    text,
)

__all__ = ["STAGES", "TOKEN", "Portal"]

TOKEN = "pat-na1-0123"
_ROOT = "https://api.hubapi.com/"
STAGES = ("subscriber", "lead", "opportunity", "customer")
_KNOWN = {
    "contacts": "email company firstname lastname phone address city state country zip website "
    "lifecyclestage plan langs",
    "companies": "name description address city state zip domain phone numberofemployees industry "
    "lifecyclestage",
    "deals": "dealname amount order_id",
}
_SEARCH = object_of(
    {
        "filterGroups": list_of(
            object_of(
                {
                    "filters": list_of(
                        object_of(
                            {"propertyName": nonempty, "operator": one_of("EQ"), "value": anything},
                            ("propertyName", "operator", "value"),
                        ),
                        most=6,
                    )
                },
                ("filters",),
            ),
            most=5,
        ),
        "properties": list_of(nonempty, least=0),
        "sorts": list_of(nonempty, least=0),
    },
    ("filterGroups",),
)
_LABEL = object_of(
    {
        "associationCategory": one_of("HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED"),
        "associationTypeId": integer,
    },
    ("associationCategory", "associationTypeId"),
)
_LINK = object_of({"to": object_of({"id": nonempty}, ("id",)), "types": list_of(_LABEL)}, ("to",))
_PROPERTY = object_of(
    {
        **dict.fromkeys(("name", "label", "groupName"), nonempty),
        "description": text,
        "type": one_of("string", "number", "date", "datetime", "enumeration", "bool"),
        "fieldType": one_of("text", "textarea", "number", "date", "select", "booleancheckbox"),
        **dict.fromkeys(("hidden", "hasUniqueValue", "formField"), one_of(True, False)),
        "displayOrder": integer,
    },
    ("name", "label", "groupName", "type", "fieldType"),
)
_EVENT = object_of(
    {
        "eventName": nonempty,
        "email": nonempty,
        "utk": nonempty,
        "objectId": nonempty,
        "occurredAt": nonempty,
        "properties": anything,
    },
    ("eventName",),
)
Properties = dict[str, Json]


class _Refused(Exception):
    """Status, category and message."""


class Portal:
    """Keeps objects by kind and id."""

    def __init__(self, *defined: str) -> None:
        """``defined``: properties of companies that were made already."""
        self.objects: dict[str, dict[str, Properties]] = {kind: {} for kind in _KNOWN}
        self.known = {kind: set(names.split()) for kind, names in _KNOWN.items()}
        self.known["companies"] |= set(defined)
        self.links: set[tuple[str, str]] = set()
        self.events: list[Json] = []
        self._made = 0

    def __call__(self, request: Request) -> Answer:
        """What it answers. Raises Wrong for what is no request to HubSpot at all."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _said(401, "INVALID_AUTHENTICATION", "no")
        if not request.url.startswith(_ROOT):
            raise Wrong(f"there is no {request.url}", 404)
        parts = urlsplit(request.url)
        way = [unquote(each) for each in parts.path.strip("/").split("/")]
        by = parse_qs(parts.query).get("idProperty", [""])[0]
        try:
            if way[:3] == ["crm", "v3", "objects"]:
                return self._object(request, way[3], way[4:], by)
            return self._other(request, way)
        except _Refused as refused:
            return _said(*refused.args)

    def add(self, kind: str, **properties: Json) -> str:
        """An object that is there already; its id."""
        return self._create(kind, properties)

    def _object(self, request: Request, kind: str, way: list[str], by: str) -> Answer:
        body, method = request.json, request.method
        if kind not in self.objects:
            raise Wrong(f"no objects {kind}", 404)
        if (method, way) == ("POST", []):
            check = {"properties": anything, "associations": list_of(_LINK, least=0)}
            object_of(check, ("properties",))(body, "body")
            known = self._create(kind, body["properties"])
            self.links |= {(known, link["to"]["id"]) for link in body.get("associations") or ()}
            return _json(201, self._shown(kind, known))
        if (method, way) == ("POST", ["search"]):
            return self._search(kind, body)
        if method == "POST" and way[0] == "batch":
            return self._batch(kind, way[1], body)
        if method == "PUT" and way[1:3] == ["associations", "contacts"] and len(way) == 5:
            self.links.add((way[0], way[3]))
            return _json(200, self._shown(kind, way[0]))
        if method not in ("PATCH", "GET") or len(way) != 1:
            raise Wrong(f"there is no {method} {request.url}", 405)
        known = self._by(kind, by, way[0])
        if method == "PATCH":
            object_of({"properties": anything}, ("properties",))(body, "body")
            self._update(kind, known, body["properties"])
        return _json(200, self._shown(kind, known))

    def _other(self, request: Request, way: list[str]) -> Answer:
        body = request.json
        if (request.method, way) == ("POST", ["events", "v3", "send"]):
            _EVENT(body, "body")
            if not re.fullmatch(r"pe\d+_[a-z0-9_-]+", body["eventName"]):
                raise Wrong(f"no event {body['eventName']!r}")
            self._flat(body.get("properties", {}))
            self.events.append(body)
            return Answer(204)
        if (request.method, way) == ("POST", ["crm", "v3", "properties", "companies"]):
            _PROPERTY(body, "body")
            if body["name"] in self.known["companies"]:
                raise _Refused(409, "OBJECT_ALREADY_EXISTS", "there already")
            self.known["companies"].add(body["name"])
            return _json(201, body)
        if request.method == "PUT" and way[:3] == ["crm", "v4", "objects"] and len(way) == 8:
            list_of(_LABEL)(body, "body")
            self.links.add((way[4], way[7]))
            return _json(201, {})
        raise Wrong(f"there is no {request.method} {request.url}", 404)

    def _batch(self, kind: str, what: str, body: Json) -> Answer:
        shapes = {
            "read": object_of({"id": nonempty}, ("id",)),
            "create": object_of(
                {"properties": anything, "associations": list_of(_LINK, least=0)}, ("properties",)
            ),
            "update": object_of({"id": nonempty, "properties": anything}, ("id", "properties")),
        }
        further = {"properties": list_of(nonempty), "idProperty": nonempty}
        known = {"inputs": list_of(shapes[what], most=100), **(further if what == "read" else {})}
        object_of(known, ("inputs",))(body, "body")
        if what == "read":
            return self._read(kind, body)
        ids = []
        for one in body["inputs"]:
            if what == "update":
                self._update(kind, self._by(kind, "", one["id"]), one["properties"])
            ids.append(one["id"] if what == "update" else self._create(kind, one["properties"]))
        if len(set(ids)) < len(ids):
            raise _Refused(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        return _json(200, {"results": [self._shown(kind, each) for each in ids]})

    def _read(self, kind: str, body: Json) -> Answer:
        results, missing = [], []
        for one in body["inputs"]:
            try:
                results.append(self._shown(kind, self._by(kind, body["idProperty"], one["id"])))
            except _Refused:
                missing.append(one["id"])
        error = {"category": "OBJECT_NOT_FOUND", "context": {"ids": missing}}
        told = {"results": results, "errors": [error] if missing else []}
        return _json(207 if missing else 200, told)

    def _search(self, kind: str, body: Json) -> Answer:
        _SEARCH(body, "body")
        found = [
            known
            for known, properties in self.objects[kind].items()
            if any(
                all(
                    str(properties.get(each["propertyName"])) == str(each["value"])
                    for each in group["filters"]
                )
                for group in body["filterGroups"]
            )
        ]
        shown = [self._shown(kind, known) for known in found]
        return _json(200, {"total": len(found), "results": shown})

    def _by(self, kind: str, by: str, value: str) -> str:
        for known, properties in self.objects[kind].items():
            names = (properties.get("hs_additional_emails") or "").split(";")
            if known == value if not by else value.lower() in (properties.get(by), *names):
                return known
        if by and by not in self.known[kind]:
            self._unknown(by)
        raise _Refused(404, "OBJECT_NOT_FOUND", f"no {kind} {value}")

    def _create(self, kind: str, properties: Properties) -> str:
        given = self._checked(kind, properties)
        if kind == "contacts" and given.get("email"):
            given["email"] = given["email"].lower()
            if any(each.get("email") == given["email"] for each in self.objects[kind].values()):
                raise _Refused(409, "CONFLICT", "Contact already exists")
        self._made += 1
        self.objects[kind][str(self._made)] = given
        return str(self._made)

    def _update(self, kind: str, known: str, properties: Properties) -> None:
        given, before = self._checked(kind, properties), self.objects[kind][known]
        stage, now = given.get("lifecyclestage"), before.get("lifecyclestage")
        if stage and now and STAGES.index(stage) < STAGES.index(now):
            given.pop("lifecyclestage")
        before |= given

    def _checked(self, kind: str, properties: Properties) -> Properties:
        self._flat(properties)
        for name in properties:
            if name not in self.known[kind] and name != "hs_additional_emails":
                self._unknown(name)
        return dict(properties)

    @staticmethod
    def _unknown(name: str) -> None:
        error = {"isValid": False, "name": name, "error": "PROPERTY_DOESNT_EXIST"}
        raise _Refused(
            400, "VALIDATION_ERROR", f"Property values were not valid: {json.dumps([error])}"
        )

    @staticmethod
    def _flat(properties: Json) -> None:
        for name, value in properties.items():
            if not isinstance(value, str | bool):
                number(value, name)

    def _shown(self, kind: str, known: str) -> Json:
        return {"id": known, "properties": self.objects[kind][known]}


def _said(status: int, category: str, message: str) -> Answer:
    return _json(status, {"status": "error", "category": category, "message": message})


def _json(status: int, body: Json) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())
