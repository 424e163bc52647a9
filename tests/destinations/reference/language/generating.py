"""Mappings, events, fields and payloads, many and odd, from a seed."""

from __future__ import annotations

import random
from typing import Any

Json = Any

EVENT: dict[str, Json] = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u-1",
    "timestamp": "2026-01-05T10:00:00.123Z",
    "properties": {
        "total": 19.5,
        "whole": 5.0,
        "tiny": 0.00000123,
        "count": 0,
        "yes": True,
        "no": False,
        "nothing": None,
        "empty": "",
        "dashed": "a-B.c$d (e) Ä-ß",
        "spaced key": "found",
        "json": '{"a": [1, 2.50, null], "b": "x"}',
        "braces": "{{event}} {{{userId}}}",
        "tags": ["a", None, ["b", 3]],
        "blank list": [],
        "products": [
            {"product_id": "p1", "price": 9.5, "quantity": 2, "note": None},
            {"product_id": "p2", "name": "", "deep": {"colour": "red", "none": None}},
            7,
            None,
        ],
        "address": {"city": "Oslo", "geo": {"lat": 59.9, "tags": ["n", "e"]}, "zip": None},
    },
    "traits": None,
    "context": {"ip": "203.0.113.7", "traits": {"email": "A@Toast.test"}, "page": {}},
}
PATHS = (
    "",
    ".",
    "$.",
    "$",
    "event",
    "$.event",
    "$.userId.length",
    "$.event[0]",
    "$.missing",
    "$.missing.deeper",
    "$.traits.email",
    "$.properties.total",
    "$.properties.whole",
    "$.properties.tiny",
    "$.properties.count",
    "$.properties.count.below",
    "$.properties.yes",
    "$.properties.no",
    "$.properties.no.below",
    "$.properties.nothing",
    "$.properties.empty",
    "$.properties.dashed",
    "$.properties['spaced key']",
    '$.properties["spaced key"]',
    "$.properties.spaced key",
    "$.properties.json",
    "$.properties.braces",
    "$.properties.tags",
    "$.properties.tags[2][1]",
    "$.properties.tags.length",
    "$.properties.tags.01",
    "$.properties.blank list",
    "$.properties.products",
    "$.properties.products[0].price",
    "$.properties.products.1.deep.colour",
    "$.properties.products[9].price",
    "$.properties.address",
    "properties.$.address.city",
    "properties..address.city",
    "$.context.traits.email",
    "$.context.page",
    "product_id",
    "$.price",
    "deep.none",
)
SCALARS = (
    None,
    True,
    False,
    0,
    1,
    5,
    19.5,
    -0.25,
    1e21,
    1e-7,
    0.00001,
    "",
    "a",
    "x{{event}}",
    "12",
)
TEMPLATES = (
    "",
    "plain",
    "{{event}}",
    "{{ event }} of {{userId}}",
    "{{{properties.total}}}/{{properties.whole}}/{{properties.tiny}}",
    "{{properties.tags}} {{properties.address}} {{properties.no}} {{properties.nothing}}",
    "{{{properties.braces}}}",
    "{{properties.braces}}",
    "{{$.event}} {{}} {event} {{missing}}",
    "{{properties['spaced key']}}\n{{ properties.products[0].price }}",
)


def mapping(rng: random.Random, depth: int = 3) -> Json:
    """A mapping that is right by form, of at most ``depth`` levels of directives."""
    if depth <= 0 or rng.random() < 0.12:
        return rng.choice(SCALARS) if rng.random() < 0.4 else {"@path": rng.choice(PATHS)}
    roll = rng.random()
    if roll < 0.16:
        keys = rng.sample(["a", "b", "c", "d d"], rng.randint(0, 3))
        return {key: mapping(rng, depth - 1) for key in keys}
    if roll < 0.2:
        return [mapping(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return _DIRECTIVES[rng.randrange(len(_DIRECTIVES))](rng, depth - 1)


def _text_or_directive(rng: random.Random, depth: int) -> Json:
    part = mapping(rng, depth)
    if isinstance(part, str) or (isinstance(part, dict) and any(k[0] == "@" for k in part)):
        return part
    return {"@path": rng.choice(PATHS)}


def _object(rng: random.Random, depth: int) -> dict[str, Json]:
    part = mapping(rng, depth)
    return part if isinstance(part, dict) else {"a": part, "b": {"@path": rng.choice(PATHS)}}


def _if(rng: random.Random, depth: int) -> Json:
    options = {rng.choice(["exists", "blank"]): {"@path": rng.choice(PATHS)}}
    for branch in ("then", "else"):
        if rng.random() < 0.8:
            options[branch] = mapping(rng, depth)
    return {"@if": options}


def _replace(rng: random.Random, depth: int) -> Json:
    options: dict[str, Json] = {
        "pattern": rng.choice(["-", ".", "a", "$d", "(e)", "B.c", "ä", " ", "[", "0"]),
        "value": _text_or_directive(rng, depth),
    }
    extra = {
        "replacement": rng.choice(["", "x", "$&!", "$$", "$1", "[$`|$']"]),
        "ignorecase": rng.random() < 0.5,
        "global": rng.random() < 0.5,
        "pattern2": rng.choice(["", "x", "A"]),
        "replacement2": "z",
    }
    options |= {key: value for key, value in extra.items() if rng.random() < 0.5}
    return {"@replace": options}


def _array_path(rng: random.Random, depth: int) -> Json:
    path = rng.choice(["$.properties.products", "$.properties.address", *PATHS])
    root = path if rng.random() < 0.8 else {"@path": path}
    if rng.random() < 0.2:
        return {"@arrayPath": [root]}
    return {"@arrayPath": [root, _object(rng, depth)]}


def _transform(rng: random.Random, depth: int) -> Json:
    apply = {key: mapping(rng, depth) for key in ("event", "userId", "x")}
    return {"@transform": {"apply": apply, "mapping": _object(rng, depth)}}


def _flatten(rng: random.Random, depth: int) -> Json:
    options = {"value": mapping(rng, depth), "separator": rng.choice([".", "_", "::"])}
    if rng.random() < 0.4:
        options["omitArrays"] = rng.choice([True, False, 0, "yes"])
    return {"@flatten": options}


def _json(rng: random.Random, depth: int) -> Json:
    value = {"@path": rng.choice(["$.properties.json", *PATHS])}
    inner = value if rng.random() < 0.7 else _object(rng, depth)
    return {"@json": {"mode": rng.choice(["encode", "decode"]), "value": inner}}


def _merge(rng: random.Random, depth: int) -> Json:
    objects = [_object(rng, depth) for _ in range(rng.randint(0, 3))]
    return {"@merge": {"objects": objects, "direction": rng.choice(["left", "right"])}}


_DIRECTIVES = (
    _if,
    _replace,
    _array_path,
    _transform,
    _flatten,
    _json,
    _merge,
    lambda rng, depth: {"@template": rng.choice(TEMPLATES)},
    lambda rng, depth: {"@template": {"@path": rng.choice(PATHS)}},
    lambda rng, depth: {"@path": rng.choice(PATHS), "_metadata": {"label": "x"}},
    lambda rng, depth: {"@path": {"@template": "$.properties.{{event}}"}},
    lambda rng, depth: {"@literal": mapping(rng, depth)},
    lambda rng, depth: {"@excludeWhenNull": mapping(rng, depth)},
    lambda rng, depth: {
        "@case": {
            "operator": rng.choice(["lower", "upper"]),
            "value": _text_or_directive(rng, depth),
        }
    },
)

BROKEN: tuple[Json, ...] = (
    {"@path": 5},
    {"@path": None},
    {"@path": ["a"]},
    {"@pth": "$.event"},
    {"@path": "$.event", "beside": 1},
    {"@path": "$.event", "@template": "x"},
    {"@template": 5},
    {"@template": {}},
    {"@if": "x"},
    {"@if": {"then": 1}},
    {"@if": {"exists": "", "then": 1}},
    {"@if": {"@path": "$.event"}},
    {"@case": {"value": "x"}},
    {"@case": {"operator": 5, "value": "x"}},
    {"@case": {"operator": "lower", "value": 5}},
    {"@case": {"operator": "title", "value": "x"}},
    {"@replace": {"value": "x"}},
    {"@replace": {"pattern": "", "value": "x"}},
    {"@replace": {"pattern": "12345678901", "value": "x"}},
    {"@replace": {"pattern": "x", "replacement": "12345678901", "value": "x"}},
    {"@replace": {"pattern": "x", "replacement": None, "value": "x"}},
    {"@replace": {"pattern": "x", "value": 5}},
    {"@replace": {"pattern": "x"}},
    {"@replace": {"pattern": "x", "value": "x", "global": "yes"}},
    {"@replace": {"pattern": "x", "value": "x", "ignorecase": 1}},
    {"@replace": {"pattern": "x", "pattern2": "12345678901", "value": "x"}},
    {"@arrayPath": "$.properties.products"},
    {"@arrayPath": []},
    {"@arrayPath": [5]},
    {"@flatten": {"value": {"@path": "$.properties"}}},
    {"@flatten": {"value": {"@path": "$.properties"}, "separator": ""}},
    {"@flatten": {"value": {"@path": "$.properties"}, "separator": 5}},
    {"@flatten": {"separator": "."}},
    {"@json": {"value": {"@path": "$.event"}}},
    {"@json": {"value": {"@path": "$.event"}, "mode": "print"}},
    {"@json": {"mode": "encode"}},
    {"@json": {"value": 0, "mode": "encode"}},
    {"@merge": {"direction": "left"}},
    {"@merge": {"objects": []}},
    {"@merge": {"objects": {}, "direction": "left"}},
    {"@merge": {"objects": ["x"], "direction": "left"}},
    {"@merge": {"objects": [], "direction": "up"}},
    {"@transform": {"apply": {}}},
    {"@transform": {"mapping": {}}},
    {"@transform": {"apply": "x", "mapping": {}}},
    {"@transform": {"apply": {}, "mapping": "x"}},
    {"@liquid": 5},
    {"@liquid": {"@path": "$.event"}},
    {"@liquid": "x" * 1001},
    {"@liquid": "{% for a in b %}{% endfor %}"},
    {"@liquid": "{% case a %}{% endcase %}"},
    {"@liquid": "{{ event"},
    {"@liquid": "{{ properties.tags | sort }}"},
    {"@liquid": "{{ properties.tags | map: 'a' }}"},
)
"""What both refuse."""
ROOTS: tuple[Json, ...] = (
    {
        "__segment_internal_directive": {"@transform": {"apply": {"x": {"@path": "$.event"}}}},
        "name": {"@path": "$.x"},
        "other": {"@path": "$.event"},
    },
    {"__segment_internal_directive": {"@merge": {"objects": [], "direction": "left"}}, "a": 1},
    {"__segment_internal_directive": {"@path": "$.event"}, "a": 1},
    {"__segment_internal_directive": {"@json": {}, "@merge": {}}, "a": 1},
)
LIQUID = (
    "",
    "plain",
    "Hello, {{ event }}!",
    "{{ properties.total }} {{properties.count}} {{ properties.yes }}",
    "{{ missing }}|{{ missing.deeper }}|{{ properties.nothing }}",
    "{{ event | upcase | append: '!' | prepend: '>' }}",
    "{{ event | downcase | replace: 'order', 'cart' | capitalize }}",
    "{{ event | split: ' ' | first }} {{ event | split: ' ' | last }}",
    "{{ event | size }} {{ event | slice: 0, 5 }} {{ event | truncate: 8 }}",
    "{{ properties.total | plus: 1 | times: 2 | minus: 0.5 }}",
    "{{ properties.total | round }} {{ properties.total | floor }} {{ properties.total | ceil }}",
    "{{ 7 | modulo: 4 }} {{ 20.0 | divided_by: 8 }}",
    "{{ missing | default: 'none' }} {{ properties['empty'] | default: 'none' }}",
    "{% if properties.total > 10 and event contains 'Order' %}big{% else %}small{% endif %}",
    "{% unless properties.no %}open{% endunless %}",
    "{% assign name = event | upcase %}{{ name }}",
    "{% capture both %}{{ event }}-{{ userId }}{% endcapture %}{{ both }}",
    "{% comment %}hidden{% endcomment %}{% raw %}{{ event }}{% endraw %}",
    "{{ properties['spaced key'] }} {{ properties.products[0].price }}",
    "{{ properties.products.size }} {{ properties.products.first.product_id }}",
    "{{- event -}} {{ '  x ' | strip }}",
    "{{ 'a&b <c>' | escape }} {{ 'a b' | url_encode }}",
    "{{ properties.tags | join: '+' }}",
    "{{ timestamp | date: '%Y-%m-%d' }}",
)

FIELD_TYPES = (
    "string",
    "text",
    "number",
    "integer",
    "datetime",
    "boolean",
    "password",
    "object",
)
FORMATS = ("date-time", "date", "email", "uri", "hostname", "ipv4", "ipv6", "uuid", "date-like")
CHOICES = tuple(
    [{"value": value, "label": str(value)} for value in values]
    for values in (["a", "b", "12"], [1, 2, 12], ["true", "", "x"])
)
TEXTS = (
    "",
    " ",
    "a",
    "12",
    "-7.5",
    " 12 ",
    "1e3",
    "0x1f",
    "1_000",
    "12px",
    ".5",
    "5.",
    "true",
    "false",
    "null",
    "ä€𝄞",
    "a rather long text that goes beyond",
    "A.b+c@toast.test",
    "a@b",
    "a@b..c",
    "https://toast.test/a?b=c#d",
    "https://toast.test/a b",
    "mailto:a@toast.test",
    "//toast.test",
    "http://[::1]:80/x",
    "toast.test",
    "-toast.test",
    "203.0.113.7",
    "203.0.113.256",
    "::1",
    "fe80::1:2",
    "1::2::3",
    "0b6e9d5a-6a4f-4b59-9d1b-7d2a6f6d3c11",
    "urn:uuid:0b6e9d5a-6a4f-4b59-9d1b-7d2a6f6d3c11",
)
DATES = (
    "2026-01-05",
    "2026-02-30",
    "2026-13-01",
    "2026-01-05T10:00:00Z",
    "2026-01-05T10:00:00.123456+02:00",
    "2026-01-05T10:00:00",
    "2026-01-05 10:00:00",
    "2026-01-05T24:00:00Z",
    "2026-01-05T25:00:00Z",
    "2026-01-05T10:00Z",
    "2026-01-05T10:00:00+0200",
    "2026-01-05T10",
    "2026/01/05",
    "2026-1-5",
    "20260105",
    "1767607200",
    "1767607200123",
    "1767607200.5",
    "99999999999999999999",
    "Mon, 05 Jan 2026 10:00:00 GMT",
    "Mon Jan 05 2026 10:00:00 GMT+0100 (Central European Time)",
    "January 5, 2026",
    "5 Jan 2026",
    "Jan 2026",
    "1/5/2026",
    "1/5/26 10:00 PM",
    "1/5/26 13:00 PM",
    "25/12/2026",
    "12-25-2026",
    "10:00",
    "today",
    "not a date",
    "order 5",
    "order5",
    "2026-W01-1",
    "2026-01-05T10:00:00 EST",
    "+002026-01-05",
    "05.01.2026",
    "2026-01",
    "2026",
    "0",
    "-1",
)


def field(rng: random.Random, depth: int = 1) -> dict[str, Json]:
    """A field as the public package declares it."""
    made: dict[str, Json] = {"label": "F", "description": "f", "type": rng.choice(FIELD_TYPES)}
    for key, chance in (("required", 0.25), ("multiple", 0.25), ("allowNull", 0.2)):
        if rng.random() < chance:
            made[key] = True
    if made["type"] in ("string", "number") and rng.random() < 0.2:
        made["minimum"], made["maximum"] = rng.randint(1, 3), rng.randint(4, 20)
    if made["type"] in ("string", "number", "integer") and rng.random() < 0.2:
        made["choices"] = rng.choice(CHOICES)
    if made["type"] == "string" and rng.random() < 0.5:
        made["format"] = rng.choice(FORMATS)
    if made["type"] == "object" and depth and rng.random() < 0.7:
        keys = ["a", "b", "c"][: rng.randint(1, 3)]
        made["properties"] = {key: field(rng, depth - 1) for key in keys}
        if rng.random() < 0.4:
            made["additionalProperties"] = True
    return made


def value(rng: random.Random, of: dict[str, Json] | None = None, depth: int = 2) -> Json:
    """A value, often one that the field ``of`` takes or nearly takes."""
    roll = rng.random()
    if of and roll < 0.6:
        made = _fitting(rng, of, depth)
        return [made, _fitting(rng, of, depth)] if of.get("multiple") and roll < 0.3 else made
    if roll < 0.75 or not depth:
        return rng.choice((None, True, False, 0, 1, 2, 12, 5.0, 7.25, -3, *TEXTS))
    if roll < 0.87:
        return [value(rng, of, depth - 1) for _ in range(rng.choice([0, 1, 1, 2]))]
    return {key: value(rng, None, depth - 1) for key in rng.sample(["a", "b", "z"], 2)}


def _fitting(rng: random.Random, of: dict[str, Json], depth: int) -> Json:
    kind = of["type"]
    if kind == "object":
        known = of.get("properties", {})
        made = {
            key: value(rng, part, depth - 1) for key, part in known.items() if rng.random() < 0.8
        }
        return made | ({"other": value(rng, None, 1)} if rng.random() < 0.5 else {})
    if kind == "datetime" or of.get("format") in ("date-like", "date", "date-time"):
        return rng.choice((*DATES, 1767607200))
    if kind == "boolean":
        return rng.choice([True, False, "true", "false", 1, 0, "yes"])
    if kind in ("number", "integer"):
        return rng.choice([0, 1, 2, 12, 7.5, "12", "7.5", 5.0, " 3 ", True])
    return rng.choice(TEXTS)
