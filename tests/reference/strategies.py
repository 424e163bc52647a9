"""Hypothesis strategies for loader input, made to provoke trouble.

Everything is put together as JSON text, because duplicate keys, `1e999`, long integers and lone
surrogates can't be had from Python values. Few ids, names and keys, so that they meet.
"""

import json
from itertools import pairwise

from hypothesis import strategies as st

Text = st.SearchStrategy[str]


def _strings(*texts: str) -> list[str]:
    """The JSON texts of strings, pure ASCII, so a lone surrogate becomes its escape."""
    return [json.dumps(text) for text in texts]


NUMBERS = [
    "0",
    "1",
    "-7",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    str(2**70),
    str(2**70 + 1),
    "1" + "0" * 400,
    "1.0",
    "1e3",
    "-0.0",
    "2.5",
    "0.1",
    "1e16",
    "1E+2",
    "12300e-2",
    "9223372036854775808.0",
    "-9223372036854775808.0",
    "1e300",
    "1e-300",
    "1e999",
    "-1e999",
]

DATES = _strings(
    "2024-01-01",
    "2024-02-29",
    "2024-01-01T10:00:00Z",
    "2024-01-01T10:00:00.123Z",
    "2024-01-01T10:00:00.1234567Z",
    "2024-01-01T10:00Z",
    "2024-01-01 10:00:00+05:30",
    "2024-01-01T10:00:00-0800",
    "2024-01-01T10:00:00+05",
    "2024-01-01T10:00:00-00:00",
    "2024-01-01T00:00:00+23:59",
    "0001-01-01",
    "0001-01-01T00:00:00-01:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59+01:00",
)

NEARLY_DATES = _strings(
    "2024-02-30",
    "2023-02-29",
    "2024-01-01T10:00:00",
    "2024-01-01 10:00",
    "2024-01-01t10:00:00z",
    "2024-01-01T10:00:00z",
    "2024-01-01T10Z",
    "2024-01-01T10:00:00.Z",
    "2024-01-01T10:00:00,5Z",
    "2024-01-01T24:00:00Z",
    "2024-06-30T23:59:60Z",
    "2024-01-01T10:00:00+24:00",
    "2024-01-01T10:00:00+05:60",
    "2024-01-01T10:00:00 Z",
    "2024-01-01T10:00:00+5",
    "2024-01-01Z",
    "2024-01-01\n",
    " 2024-01-01",
    "2024-1-1",
    "20240101",
    "2024-W01-1",
    "2024-001",
    "10:00:00Z",
    "\uff12\uff10\uff12\uff14-01-01",
    "0000-01-01",
    "0000-12-31T23:59:59-01:00",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "10000-01-01",
    "-2024-01-01",
)

STRINGS = _strings(
    "x",
    "",
    " ",
    "1",
    "2.5",
    "true",
    "null",
    "[1]",
    '{"a":1}',
    '"x"',
    "NaN",
    "a\"b\\c\n\t'",
    "\u0000",
    "a\u0000b",
    "\ud800",
    "a\udc00\ud800b",
    "\U0001f600",
    "\u65e5\u672c",
    "\u00e9\u2028\u007f",
    "\ufffd",
    "%s{}",
    "long " * 200,
)

ARRAYS = [
    "[]",
    "[1, 2.5, 1e16, 1e999, " + str(2**70 + 1) + "]",
    '["x", "\\u00e9", "\\u0000", "\\ud800", null, true]',
    '[{"b": 1, "b": 2, "a": {}}, [[]]]',
    "[" * 30 + "]" * 30,
]


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members) + "}"


def _deep(leaf: str) -> str:
    return '{"n":' * 30 + leaf + "}" * 30


scalars: Text = st.one_of(
    st.sampled_from(["1", "2.5", "9007199254740993", '"x"', "null"]),
    st.sampled_from(["null", "true", "false"]),
    st.sampled_from(NUMBERS),
    st.sampled_from(DATES),
    st.sampled_from(NEARLY_DATES),
    st.sampled_from(STRINGS),
    st.sampled_from(ARRAYS),
)

KEYS = [
    "plan",
    "planType",
    "Plan Type",
    "plan_type",
    "a_b",
    "aB",
    "a",
    "b",
    "",
    "id",
    "user_id",
    "userId",
    "received_at",
    "loaded_at",
    "Timestamp",
    "event",
    "event text",
    "name",
    "Name",
    "category",
    "group_id",
    "previousId",
    "context",
    "context_x",
    "Context X",
    "_",
    "_overflow",
    "\u65e5\u672c",
    "9x",
    "_9x",
    "select",
    "order",
    "HTTPServer",
    "na\u00efve",
    "p\ud800",
    "q\u0000",
]


def _members(values: Text, keys: list[str] = KEYS) -> Text:
    """An object; a key may come more than once."""
    few = st.sampled_from([key for key in keys if key.lower().startswith("plan")] or keys)
    member = st.tuples(st.one_of(few, st.sampled_from(keys)), values)
    return st.lists(member, max_size=5).map(_object)


values: Text = st.one_of(
    scalars,
    scalars,
    scalars.map(_deep),
    _members(scalars),
    _members(st.one_of(scalars, _members(scalars))),
)

# Numbers and text in turn, in one column.
plans: Text = st.sampled_from(
    ["1", "2.5", "9007199254740993", "9223372036854775809", "1e999", '"x"', "true", "null"]
).map(lambda value: f'{{"plan":{value}}}')

properties: Text = st.one_of(
    _members(values), _members(values), plans, st.sampled_from(["{}", "null"])
)

CONTEXT_KEYS = ["app", "x", "X", "a", "b", "a_b", "traits", "ip", "_", "\u65e5\u672c", "9x", "id"]

contexts: Text = st.one_of(
    st.just("{}"),
    _members(st.one_of(scalars, _members(scalars, CONTEXT_KEYS)), CONTEXT_KEYS),
)

EVENT_NAMES = [
    "Order Completed",
    "order_completed",
    "Select",
    "order",
    "Users",
    "discards",
    "tracks",
    "_users",
    "\u65e5\u672c",
    "",
    "9lives",
    "_9lives",
    "Event \u0000 \ud800",
]

user_ids: Text = st.sampled_from(_strings("u1", "u1", "u1", "u2", "U1", "u\u00e9\u0000", "u\ud800"))
group_ids: Text = st.sampled_from(_strings("g1", "g1", "g2"))

# The same moments in several spellings, whose order as texts is not their order in time.
MOMENTS = _strings(
    "2024-05-01T10:00:00.000Z",
    "2024-05-01T10:00:00Z",
    "2024-05-01T10:00:00.5Z",
    "2024-05-01T10:00:00.500001Z",
    "2024-05-01T09:59:59.999Z",
    "2024-05-02T00:00:00.000Z",
    "2023-12-31T23:59:59.999999Z",
    "2024-05-01T10:00:00+00:00",
)

moments: Text = st.sampled_from(MOMENTS)

NOT_DATES = ['"yesterday"', '""', '"2024-05-01T10:00:00"', "1714557600", "1e999", "true", "[1]"]

sent_dates: Text = st.one_of(
    moments, moments, st.sampled_from(DATES), st.sampled_from(["null", *NOT_DATES])
)

INTEGRATIONS = [
    "null",
    "{}",
    '{"All":false}',
    '{"All":true,"Warehouses":true}',
    '{"Warehouses":{}}',
    '{"Warehouses":{"all":true}}',
    '{"Warehouses":{"warehouseIds":["other","warehouse"]}}',
    '{"All":false,"Warehouses":{"all":true}}',
    '{"Warehouses":{"all":false}}',
    '{"Warehouses":{"All":false}}',
    '{"Warehouses":false}',
    '{"Warehouses":{"warehouseIds":["other"]}}',
    '{"Warehouses":{"warehouseIds":[]}}',
]


def _optional(strategy: Text) -> st.SearchStrategy[str | None]:
    """A text, null, or None for a field that is absent."""
    return st.one_of(strategy, strategy, st.just("null"), st.none())


titles = _optional(st.sampled_from(_strings("x", "", "Home", "2024-01-01")))

OWN_FIELDS: dict[str, dict[str, st.SearchStrategy[str | None]]] = {
    "track": {
        "event": st.sampled_from(_strings(*EVENT_NAMES)),
        "properties": _optional(properties),
    },
    "identify": {"traits": _optional(properties)},
    "page": {"name": titles, "category": titles, "properties": _optional(properties)},
    "screen": {"name": titles, "category": titles, "properties": _optional(properties)},
    "group": {"groupId": group_ids, "traits": _optional(properties)},
    "alias": {
        "previousId": _optional(user_ids),
        "traits": _optional(properties),
        "properties": _optional(properties),
    },
}

NOT_LOADED = '"channel":"server","version":2,"projectId":"p","_metadata":{"a":1},"email":"x"'


@st.composite
def _event(draw: st.DrawFn, kinds: list[str]) -> str:
    """One event without the braces and without its messageId."""
    kind = draw(st.sampled_from(kinds))
    fields: dict[str, str | None] = {"type": json.dumps(kind)}
    for key, strategy in OWN_FIELDS[kind].items():
        fields[key] = draw(strategy)
    fields["userId"] = draw(_optional(user_ids))
    if fields["userId"] in (None, "null"):
        fields["anonymousId"] = '"anon"'
    else:
        fields["anonymousId"] = draw(st.sampled_from([None, "null", '"anon"']))
    fields["context"] = draw(_optional(contexts))
    fields["timestamp"] = draw(moments)
    fields["receivedAt"] = draw(moments)
    for key in ("originalTimestamp", "sentAt"):
        fields[key] = draw(st.one_of(st.none(), sent_dates))
    fields["integrations"] = draw(st.one_of(st.none(), st.none(), st.sampled_from(INTEGRATIONS)))
    members = [f'"{key}":{value}' for key, value in fields.items() if value is not None]
    if draw(st.booleans()):
        members.append(NOT_LOADED)
    return ",".join(members)


@st.composite
def stored_events(draw: st.DrawFn, max_size: int = 12) -> list[bytes]:
    """Events in load order; `messageId`s are unique, and their order is not the load order."""
    # Half of the lists stay with one or two kinds of call, so that rows and columns meet often.
    kinds = draw(
        st.sampled_from(
            [
                ["track"],
                ["identify"],
                ["group", "identify"],
                ["track", "identify", "page", "screen", "group", "alias"],
                ["track", "track", "identify", "identify", "group", "page", "screen", "alias"],
            ]
        )
    )
    events = draw(st.lists(_event(kinds), min_size=1, max_size=max_size))
    numbers = draw(st.permutations(range(len(events))))
    return [
        f'{{"messageId":"m{number}",{event}}}'.encode()
        for number, event in zip(numbers, events, strict=True)
    ]


def chunked(events: list[bytes]) -> st.SearchStrategy[list[list[bytes]]]:
    """The same events in the same order, cut anywhere; no chunk is empty."""
    if not events:
        return st.just([])
    cuts = st.sets(st.integers(1, len(events) - 1)) if len(events) > 1 else st.just(set[int]())

    def cut(at: set[int]) -> list[list[bytes]]:
        edges = [0, *sorted(at), len(events)]
        return [events[start:end] for start, end in pairwise(edges)]

    return cuts.map(cut)
