"""The reference against the examples of the spec, and the assertions of `compare`."""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .compare import assert_nothing_lost, assert_same
from .strategies import chunked, stored_events
from .warehouse import (
    ReferenceTable,
    ReferenceWarehouse,
    compact,
    context_column,
    event_table,
    property_column,
    read_date,
    read_json,
    same_json,
    snake,
)

Tables = dict[str, ReferenceTable]
Discard = tuple[object, ...]

START = datetime(2024, 5, 1, 10, tzinfo=UTC).replace(tzinfo=None)


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(kind: str, message_id: str = "m1", at: float = 0, **fields: str) -> bytes:
    """One event; the fields are JSON texts, `at` is both timestamp and receivedAt."""
    time = f'"{moment(at).isoformat()}Z"'
    members = {"type": f'"{kind}"', "messageId": f'"{message_id}"', "userId": '"u1"'}
    members |= {"timestamp": time, "receivedAt": time} | fields
    return ("{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}").encode()


def track(message_id: str = "m1", at: float = 0, **fields: str) -> bytes:
    return call("track", message_id, at, **({"event": '"T"'} | fields))


def load(*events: bytes, max_event_tables: int = 1000, max_columns: int = 1600) -> Tables:
    warehouse = ReferenceWarehouse(max_event_tables=max_event_tables, max_columns=max_columns)
    for event in events:
        warehouse.load("s", event)
    return warehouse.rows("s")


def plans(*values: str) -> Tables:
    """Track calls m0, m1, … with these values of the property `plan`."""
    return load(
        *(track(f"m{i}", i, properties=f'{{"plan":{value}}}') for i, value in enumerate(values))
    )


def plan(tables: Tables, table: str = "t") -> tuple[str | None, list[object]]:
    """Type and values of the column `plan`."""
    found = tables[table]
    return found.types.get("plan"), [row.get("plan") for row in found.rows]


def discards(tables: Tables) -> list[Discard]:
    """(table, row, column, value, reason), sorted."""
    if "discards" not in tables:
        return []
    columns = ("table_name", "row_id", "column_name", "column_value", "reason")
    return sorted(tuple(row[c] for c in columns) for row in tables["discards"].rows)


def only_row(tables: Tables, table: str) -> dict[str, object]:
    [row] = tables[table].rows
    return row


# Names

G_COLUMN = [
    ("Order Completed", "order_completed"),
    ("orderCompleted", "order_completed"),
    ("userID", "user_id"),
    ("UserId", "user_id"),
    ("ID", "id"),
    ("HTTPServer", "httpserver"),
    ("XMLHttpRequest", "xmlhttp_request"),
    ("CStringRef", "cstring_ref"),
    ("iOSVersion", "i_osversion"),
    ("macOS", "mac_os"),
    ("isVIP", "is_vip"),
    ("productIDs", "product_ids"),
    ("samPLE text", "sam_ple_text"),
    ("SKU123abc", "sku123abc"),
    ("CamelCase123Key", "camel_case123_key"),
    ("omega v2", "omega_v2"),
    ("attribute_v_3", "attribute_v_3"),
    ("2FA Enabled", "2fa_enabled"),
    ("9mega", "9mega"),
    ("1CComega", "1ccomega"),
    ("$revenue", "revenue"),
    ("100%", "100"),
    ("email@domain", "email_domain"),
    ("a.b.c", "a_b_c"),
    ("foo-bar/baz", "foo_bar_baz"),
    ("path to $1,00,000", "path_to_1_00_000"),
    ("sample___text", "sample_text"),
    ("_timestamp", "timestamp"),
    ("___x", "x"),
    ("trailing_", "trailing"),
    ("User's Name", "user_s_name"),
    ("C\u00edz\u01d4", "c_z"),
    ("na\u00efve", "na_ve"),
    ("\u65e5\u672c", ""),
    ("&", ""),
    ("   $#$sample   2    Text   ", "sample_2_text"),
    ("FOO:BAR$BAZ", "foo_bar_baz"),
    ("f_pX9", "f_p_x9"),
    ("edf_6N", "edf_6n"),
]


@pytest.mark.parametrize(("text", "expected"), G_COLUMN)
def test_snake(text: str, expected: str) -> None:
    assert snake(text) == expected


def test_a_leading_digit_gets_an_underscore() -> None:
    for text, expected in (
        ("2FA Enabled", "_2fa_enabled"),
        ("9mega", "_9mega"),
        ("1CComega", "_1ccomega"),
        ("100%", "_100"),
    ):
        assert property_column((text,)) == event_table(text) == expected
    assert context_column(("100%",)) == "context_100"


@pytest.mark.parametrize("name", ["Users", "tracks", "_discards", "PAGES"])
def test_an_event_named_like_a_system_table(name: str) -> None:
    tables = load(track(event=f'"{name}"'))
    table = "_" + snake(name)
    assert set(tables) == {"tracks", table}
    assert only_row(tables, "tracks")["event"] == only_row(tables, table)["event"] == table


def test_two_event_names_one_table() -> None:
    tables = load(track("m1", event='"Signed Up"'), track("m2", event='"signed_up"'))
    assert [row["event_text"] for row in tables["signed_up"].rows] == ["Signed Up", "signed_up"]


def test_unnameable_property_and_context() -> None:
    tables = load(
        track(properties='{"日本":{"&":1},"_":null,"日":{"x":2}}', context='{"a":{"b":3},"&":4}')
    )
    assert only_row(tables, "t")["x"] == 2
    assert only_row(tables, "t")["context_a_b"] == only_row(tables, "tracks")["context_a_b"] == 3
    assert discards(tables) == [
        ("t", "m1", "&", "4", "unnameable"),
        ("t", "m1", "日本.&", "1", "unnameable"),
    ]


def test_unnameable_event() -> None:
    properties = '{"Cup Size":"L","日本":1,"user_id":[2, 3],"n":null,"9x":{"y":true}}'
    tables = load(track(event='"日本"', properties=properties, context='{"a":1}'))
    assert set(tables) == {"tracks", "discards"}
    row = only_row(tables, "tracks")
    assert (row["event"], row["event_text"], row["context_a"]) == (None, "日本", 1)
    assert discards(tables) == [
        ("tracks", "m1", "_9x_y", "true", "unnameable"),
        ("tracks", "m1", "cup_size", "L", "unnameable"),
        ("tracks", "m1", "user_id", "[2,3]", "unnameable"),
        ("tracks", "m1", "日本", "1", "unnameable"),
    ]


# The worked example of warehouse.md §11


def test_worked_example() -> None:
    tables = load(
        b"""{"type":"track","messageId":"m1","userId":"u7","event":"Tea Order Placed",
        "properties":{"Cup Size":"L","price":{"amount":3.5,"currency":"EUR"},
        "addOns":["milk","lemon"],"user_id":"x","note":null},
        "context":{"app":{"version":"2.0"}},
        "timestamp":"2024-05-01T10:00:00.000Z","receivedAt":"2024-05-01T10:00:01.000Z"}"""
    )
    common = {
        "id": "m1",
        "user_id": "u7",
        "anonymous_id": None,
        "event": "tea_order_placed",
        "event_text": "Tea Order Placed",
        "context_app_version": "2.0",
        "received_at": moment(1),
        "sent_at": None,
        "timestamp": moment(0),
        "original_timestamp": None,
    }
    assert only_row(tables, "tracks") == common
    assert only_row(tables, "tea_order_placed") == common | {
        "cup_size": "L",
        "price_amount": 3.5,
        "price_currency": "EUR",
        "add_ons": '["milk","lemon"]',
    }
    assert tables["tea_order_placed"].types == {
        "id": "VARCHAR",
        "received_at": "TIMESTAMP",
        "anonymous_id": "VARCHAR",
        "user_id": "VARCHAR",
        "sent_at": "TIMESTAMP",
        "original_timestamp": "TIMESTAMP",
        "timestamp": "TIMESTAMP",
        "event": "VARCHAR",
        "event_text": "VARCHAR",
        "context_app_version": "VARCHAR",
        "cup_size": "VARCHAR",
        "price_amount": "DOUBLE",
        "price_currency": "VARCHAR",
        "add_ons": "JSON",
    }
    assert discards(tables) == [("tea_order_placed", "m1", "user_id", "x", "reserved")]
    assert only_row(tables, "discards")["received_at"] == moment(1)


# Tables and standard columns


def test_tables_of_each_call() -> None:
    body = {"traits": '{"t":1}', "properties": '{"p":1}', "name": '"N"', "groupId": '"g"'}
    body["previousId"] = '"old"'
    written: dict[str, dict[str, set[str]]] = {}
    for kind in ("track", "identify", "page", "screen", "group", "alias"):
        tables = load(call(kind, "m1", 0, event='"E"', **body))
        written[kind] = {name: {"t", "p"} & table.types.keys() for name, table in tables.items()}
    assert written == {
        "track": {"tracks": set(), "e": {"p"}},
        "identify": {"identifies": {"t"}, "users": {"t"}},
        "page": {"pages": {"p"}},
        "screen": {"screens": {"p"}},
        "group": {"groups": {"t"}, "accounts": {"t"}},
        "alias": {"aliases": {"t", "p"}},
    }


def test_identify_without_user_id() -> None:
    assert set(load(call("identify", userId="null"))) == {"identifies"}


def test_standard_columns_exist_and_others_come_with_a_value() -> None:
    tables = load(
        call("page", properties='{"x":null}', context='{"a":null,"b":{}}'),
        call("group", groupId='"g1"'),
        call("alias", previousId='"u0"'),
    )
    calls = {"id", "received_at", "anonymous_id", "user_id", "sent_at", "original_timestamp"}
    calls.add("timestamp")
    assert tables["pages"].types.keys() == calls | {"name", "category"}
    assert tables["groups"].types.keys() == calls | {"group_id"}
    assert tables["aliases"].types.keys() == calls | {"previous_id"}
    assert tables["accounts"].types.keys() == {"id", "received_at"}
    assert only_row(tables, "groups")["group_id"] == only_row(tables, "accounts")["id"] == "g1"


def test_fields_that_are_not_loaded() -> None:
    tables = load(track(channel='"server"', version="2", projectId='"p"', email='"e"'))
    assert len(tables["t"].types) == 9
    assert discards(tables) == []


def test_reserved() -> None:
    tables = load(
        track("m1", properties='{"id":1,"eventText":null,"context":{"a":1},"Uuid TS":2,"name":3}'),
        call("identify", "m2", traits='{"anonymous_id":1,"event":2,"context":[]}'),
    )
    assert only_row(tables, "t")["name"] == 3
    assert only_row(tables, "users")["event"] == 2
    assert discards(tables) == [
        ("identifies", "m2", "anonymous_id", "1", "reserved"),
        ("identifies", "m2", "context", "[]", "reserved"),
        ("t", "m1", "context_a", "1", "reserved"),
        ("t", "m1", "id", "1", "reserved"),
        ("t", "m1", "uuid_ts", "2", "reserved"),
    ]


@pytest.mark.parametrize(
    ("name", "properties", "expected", "discarded"),
    [
        ('"A"', "{}", "A", []),
        ("null", '{"name":"B"}', "B", []),
        ('"A"', '{"name":"A"}', "A", []),
        ('"A"', '{"name":"B"}', "A", ["B"]),
        ('""', '{"name":"B"}', "", ["B"]),
        ("null", '{"name":5}', None, ["5"]),
        ("null", '{"Name":"B"}', None, ["B"]),
    ],
)
def test_name_of_pages(
    name: str, properties: str, expected: str | None, discarded: list[str]
) -> None:
    tables = load(call("page", name=name, properties=properties))
    assert only_row(tables, "pages")["name"] == expected
    assert discards(tables) == [("pages", "m1", "name", text, "reserved") for text in discarded]


def test_dates_of_the_call_that_are_not_dates() -> None:
    tables = load(track(sentAt='"soon"', originalTimestamp="5"))
    assert only_row(tables, "tracks")["sent_at"] is only_row(tables, "t")["sent_at"] is None
    assert discards(tables) == [
        ("t", "m1", "original_timestamp", "5", "type"),
        ("t", "m1", "sent_at", "soon", "type"),
    ]


# Flattening


def test_flattening() -> None:
    tables = load(track(properties='{"a":{"b":{"C d":1}},"e":{},"f":[{"g": "é"}],"h":null}'))
    assert tables["t"].types.keys() - load(track())["t"].types.keys() == {"a_b_c_d", "f"}
    assert only_row(tables, "t")["a_b_c_d"] == 1
    assert only_row(tables, "t")["f"] == '[{"g":"é"}]'


def test_collision_the_last_wins() -> None:
    tables = load(
        track(properties='{"planType":1,"a":{"b":2},"Plan Type":3,"a_b":4,"plan_type":5}')
    )
    assert (only_row(tables, "t")["plan_type"], only_row(tables, "t")["a_b"]) == (5, 4)
    assert discards(tables) == [
        ("t", "m1", "a_b", "2", "collision"),
        ("t", "m1", "plan_type", "1", "collision"),
        ("t", "m1", "plan_type", "3", "collision"),
    ]


def test_collision_with_null() -> None:
    tables = load(
        track("m1", properties='{"plan":1,"Plan":null}'),
        track("m2", properties='{"plan":null,"Plan":2}'),
    )
    assert plan(tables) == ("BIGINT", [None, 2])
    assert discards(tables) == [("t", "m1", "plan", "1", "collision")]


def test_collision_of_traits_and_properties_of_an_alias() -> None:
    tables = load(call("alias", properties='{"plan":1}', traits='{"plan":2}'))
    assert plan(tables, "aliases") == ("BIGINT", [1])
    assert discards(tables) == [("aliases", "m1", "plan", "2", "collision")]


def test_call_reasons_are_recorded_once() -> None:
    body = {"traits": '{"&":1,"id":2,"a":3,"A":4}', "context": '{"&":5,"b":6,"B":7}'}
    for kind, table in (("identify", "identifies"), ("group", "groups")):
        assert discards(load(call(kind, "m1", 0, groupId='"g"', **body))) == [
            (table, "m1", "&", "1", "unnameable"),
            (table, "m1", "&", "5", "unnameable"),
            (table, "m1", "a", "3", "collision"),
            (table, "m1", "context_b", "6", "collision"),
            (table, "m1", "id", "2", "reserved"),
        ]


def test_duplicate_keys() -> None:
    tables = load(track(properties='{"plan":1,"plan":{"a":2},"x":[{"y":1,"y":2}]}'))
    assert plan(tables) == (None, [None])
    assert (only_row(tables, "t")["plan_a"], only_row(tables, "t")["x"]) == (2, '[{"y":2}]')
    assert discards(tables) == []


def test_surrogates_and_nul() -> None:
    tables = load(track(event='"E \\ud800"', properties=r'{"p":"a\ud800\u0000\ud83d\ude00b"}'))
    assert only_row(tables, "e")["event_text"] == "E \ufffd"
    assert only_row(tables, "e")["p"] == "a\ufffd\u0000\U0001f600b"


# Types


@pytest.mark.parametrize(
    ("text", "expected_type", "expected"),
    [
        ("true", "BOOLEAN", True),
        ("1", "BIGINT", 1),
        ("-9223372036854775808", "BIGINT", -(2**63)),
        ("9223372036854775807", "BIGINT", 2**63 - 1),
        ("1.0", "BIGINT", 1),
        ("1e3", "BIGINT", 1000),
        ("9223372036854775808.0", "DOUBLE", 2.0**63),
        ("-9223372036854775808.0", "DOUBLE", -(2.0**63)),
        ("9223372036854775808", "DOUBLE", 2.0**63),
        ("1e300", "DOUBLE", 1e300),
        ("2.5", "DOUBLE", 2.5),
        ("1e999", "VARCHAR", "1e999"),
        ("1" + "0" * 5000, "VARCHAR", "1" + "0" * 5000),
        ('""', "VARCHAR", ""),
        ('"2024-02-30"', "VARCHAR", "2024-02-30"),
        ('"2024-05-01T10:00:01Z"', "TIMESTAMP", moment(1)),
        ("[1, 1e999]", "JSON", "[1,1e999]"),
        ("[]", "JSON", "[]"),
    ],
)
def test_the_first_value_sets_the_type(text: str, expected_type: str, expected: object) -> None:
    tables = plans("null", text)
    assert plan(tables) == (expected_type, [None, expected])
    assert isinstance(expected, str) or type(plan(tables)[1][1]) is type(expected)
    assert discards(tables) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01", "2024-05-01T00:00:00"),
        ("2024-05-01T10:00Z", "2024-05-01T10:00:00"),
        ("2024-05-01 10:00:00.1234567Z", "2024-05-01T10:00:00.123456"),
        ("2024-05-01T10:00:00.5+05:30", "2024-05-01T04:30:00.500000"),
        ("2024-05-01T10:00:00-0030", "2024-05-01T10:30:00"),
        ("2024-05-01T00:00:00+01", "2024-04-30T23:00:00"),
        ("0001-01-01", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
        ("0000-01-01", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("2023-02-29", None),
        ("2024-05-01T10:00:00", None),
        ("2024-05-01t10:00:00Z", None),
        ("2024-05-01T10:00:00z", None),
        ("2024-05-01T24:00:00Z", None),
        ("2024-05-01T10:00:60Z", None),
        ("2024-05-01T10:00:00+24:00", None),
        ("2024-05-01T10:00:00+00:60", None),
        ("2024-05-01T10:00:00.Z", None),
        ("2024-05-01T10Z", None),
        ("2024-05-01Z", None),
        ("2024-05-01\n", None),
        ("\uff12\uff10\uff12\uff14-05-01", None),
        ("2024-5-1", None),
        ("20240501", None),
        ("10:00:00Z", None),
    ],
)
def test_date_texts(text: str, expected: str | None) -> None:
    found = read_date(text)
    assert (found and found.isoformat()) == expected


@pytest.mark.parametrize(
    ("first", "held", "refused"),
    [
        ("true", ["false"], ["1", '"true"', "[]", "1e999"]),
        ("1", ["2.0", "-5"], ["true", '"1"', "[1]", "1e999", "1" + "0" * 400]),
        ("2.5", ["1", "1e300"], ["true", '"1"', "[1]", "-1e999", "1" + "0" * 400]),
        ('"2024-05-01"', ['"2024-05-02T00:00Z"'], ["1", '"x"', '"2024-05-01T10:00:00"', "true"]),
    ],
)
def test_what_a_column_holds(first: str, held: list[str], refused: list[str]) -> None:
    for value in held:
        tables = plans(first, value)
        assert plan(tables)[1][1] is not None
        assert discards(tables) == []
    for value in refused:
        tables = plans(first, value)
        assert plan(tables) == (plan(plans(first))[0], [plan(plans(first))[1][0], None])
        assert discards(tables) == [("t", "m1", "plan", value.strip('"'), "type")]


def test_text_columns_hold_everything() -> None:
    values = ["true", "2.50", "1e999", '"2024-05-01"', '"é"', '[1, "é"]']
    assert plan(plans('"x"', *values)) == (
        "VARCHAR",
        ["x", "true", "2.50", "1e999", "2024-05-01", "é", '[1,"é"]'],
    )
    assert plan(plans("[]", *values)) == (
        "JSON",
        ["[]", "true", "2.50", "1e999", '"2024-05-01"', '"é"', '[1,"é"]'],
    )


def test_widening() -> None:
    tables = plans("1", "9007199254740993", "2.5", "9007199254740993", str(2**70), "1.0")
    rounded = 9007199254740992.0
    assert plan(tables) == ("DOUBLE", [1.0, rounded, 2.5, rounded, 2.0**70, 1.0])
    assert all(type(value) is float for value in plan(tables)[1])
    assert discards(tables) == [
        ("t", "m1", "plan", "9007199254740993", "precision"),
        ("t", "m3", "plan", "9007199254740993", "precision"),
    ]
    assert [row["received_at"] for row in tables["discards"].rows] == [moment(1), moment(3)]


def test_an_integer_beyond_64_bits_widens() -> None:
    assert plan(plans("1", str(2**63))) == ("DOUBLE", [1.0, 2.0**63])
    tables = plans("1", str(2**63 + 1))
    assert plan(tables) == ("DOUBLE", [1.0, 2.0**63])
    assert discards(tables) == [("t", "m1", "plan", str(2**63 + 1), "precision")]


def test_each_table_has_its_own_types() -> None:
    tables = load(
        call("identify", "m1", userId="null", anonymousId='"a"', traits='{"plan":"x"}'),
        call("identify", "m2", traits='{"plan":1}'),
        call("identify", "m3", traits='{"plan":"y"}'),
    )
    assert plan(tables, "identifies") == ("VARCHAR", ["x", "1", "y"])
    assert plan(tables, "users") == ("BIGINT", [1])
    assert discards(tables) == [("users", "u1", "plan", "y", "type")]


# users and accounts


def user_plans(*calls: tuple[str, float, str]) -> Tables:
    """Identify calls (messageId, time, traits) of one user."""
    return load(*(call("identify", name, at, traits=traits) for name, at, traits in calls))


def test_users_hold_the_latest_value_of_each_column() -> None:
    tables = load(
        call("identify", "m1", 2, traits='{"plan":"new"}'),
        call("identify", "m2", 1, traits='{"plan":"old","seats":5}', context='{"ip":"i"}'),
        call("identify", "m3", 3, userId='"u2"', traits="null"),
    )
    assert tables["users"].rows == [
        {"id": "u1", "received_at": moment(2), "plan": "new", "seats": 5, "context_ip": "i"},
        {"id": "u2", "received_at": moment(3), "plan": None, "seats": None, "context_ip": None},
    ]


def test_users_ties_go_to_the_greater_message_id() -> None:
    for order in (("m10", "m9"), ("m9", "m10")):
        tables = user_plans(*((name, 0, f'{{"plan":"{name}"}}') for name in order))
        assert plan(tables, "users") == ("VARCHAR", ["m9"])


def test_users_null_clears_whatever_the_order() -> None:
    old, new = ("m1", 1, '{"plan":"x"}'), ("m2", 2, '{"plan":null}')
    assert plan(user_plans(old, new), "users") == ("VARCHAR", [None])
    assert plan(user_plans(new, old), "users") == ("VARCHAR", [None])
    assert plan(user_plans(new), "users") == (None, [None])


def test_users_keep_the_older_value_when_the_new_one_cannot_be_held() -> None:
    tables = user_plans(("m1", 1, '{"plan":true}'), ("m2", 2, '{"plan":"x"}'))
    assert plan(tables, "users") == ("BOOLEAN", [True])
    assert discards(tables) == [
        ("identifies", "m2", "plan", "x", "type"),
        ("users", "u1", "plan", "x", "type"),
    ]


def test_users_widening() -> None:
    tables = user_plans(("m1", 1, '{"plan":9007199254740993}'), ("m2", 0, '{"plan":2.5}'))
    assert plan(tables, "users") == ("DOUBLE", [9007199254740992.0])
    assert discards(tables) == [
        ("identifies", "m1", "plan", "9007199254740993", "precision"),
    ]


# Caps


def test_event_tables_beyond_the_cap() -> None:
    tables = load(
        track("m1", event='"A"', properties='{"x":1}'),
        track("m2", event='"B"', properties='{"User ID":1,"y":{"z":null},"日本":2}'),
        track("m3", event='"C"', properties="{}"),
        track("m4", event='"a"', properties='{"x":2}'),
        call("page", "m5"),
        max_event_tables=1,
    )
    assert set(tables) == {"tracks", "a", "pages"}
    found = [(row["event"], row["_overflow"]) for row in tables["tracks"].rows]
    b = '{"User ID":1,"y":{"z":null},"日本":2}'
    assert found == [("a", None), ("b", b), ("c", None), ("a", None)]
    assert tables["tracks"].types["_overflow"] == "JSON"


def test_columns_beyond_the_cap() -> None:
    tables = load(
        track("m1", properties='{"a":1,"b":"2024-05-01","c":null,"d":[1, 2]}'),
        track("m2", properties='{"a":2}'),
        track("m3", properties='{"b":5,"a":3}'),
        max_columns=12,  # with uuid_ts and loaded_at, 11 are standard
    )
    assert [(row["a"], row["_overflow"]) for row in tables["t"].rows] == [
        (1, '{"b":"2024-05-01","d":[1,2]}'),
        (2, None),
        (3, '{"b":5}'),
    ]
    assert tables["t"].types.keys() & {"a", "b", "c", "d", "_overflow"} == {"a", "_overflow"}
    assert "_overflow" not in tables["tracks"].types
    assert discards(tables) == []


def test_both_caps_at_once() -> None:
    context = '{"a":0,"x":1,"y":2}'
    tables = load(
        track("m1", event='"B"', properties='{"context_x":3}', context=context),
        max_event_tables=0,
        max_columns=12,
    )
    row = only_row(tables, "tracks")
    assert (row["context_a"], row["event"]) == (0, "b")
    assert row["_overflow"] == '{"context_x":3,"context_y":2}'
    assert discards(tables) == [("tracks", "m1", "context_x", "1", "collision")]


def test_users_overflow_is_merged_key_by_key() -> None:
    calls = [
        call("identify", "m1", 1, traits='{"plan":1,"b":1,"c":1,"d":1}'),
        call("identify", "m2", 3, traits='{"c":3,"d":null}'),
        call("identify", "m3", 2, traits='{"b":2,"c":2}'),
    ]
    tables = load(*calls, max_columns=5)
    assert tables["users"].rows == [
        {"id": "u1", "received_at": moment(3), "b": 2, "_overflow": '{"c":3,"plan":1}'}
    ]


# Routing


@pytest.mark.parametrize(
    ("integrations", "loaded"),
    [
        ("null", True),
        ("{}", True),
        ('{"All":false}', True),
        ('{"Warehouses":true}', True),
        ('{"Warehouses":{}}', True),
        ('{"All":false,"Warehouses":{"all":true}}', True),
        ('{"Warehouses":{"warehouseIds":["a","warehouse"]}}', True),
        ('{"Warehouses":{"warehouseIds":["a"]}}', False),
        ('{"Warehouses":{"warehouseIds":[]}}', False),
        ('{"Warehouses":{"all":false}}', False),
        ('{"Warehouses":{"All":false}}', False),
        ('{"All":true,"Warehouses":false}', False),
    ],
)
def test_warehouses_flag(integrations: str, loaded: bool) -> None:
    warehouse = ReferenceWarehouse()
    warehouse.load("s", track(integrations=integrations))
    assert bool(warehouse.rows("s")) is loaded
    assert warehouse.filtered == (0 if loaded else 1)


def test_sources_are_apart() -> None:
    warehouse = ReferenceWarehouse(warehouse_id="w")
    flag = '{"Warehouses":{"warehouseIds":["w"]}}'
    warehouse.load("a", track(properties='{"plan":1}', integrations=flag))
    warehouse.load("b", track(properties='{"plan":"x"}'))
    assert plan(warehouse.rows("a")) == ("BIGINT", [1])
    assert plan(warehouse.rows("b")) == ("VARCHAR", ["x"])
    assert warehouse.rows("c") == {}


@pytest.mark.parametrize(
    "event",
    [
        b"[]",
        b'{"type":"track"}',
        track(messageId='""'),
        track(userId="1"),
        track(properties="[]"),
        call("group"),
        call("video"),
        track(properties='{"a":NaN}'),
        track(timestamp='"now"'),
    ],
)
def test_invalid_input_is_refused(event: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(event)


# JSON


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1e16", "1e+16", True),
        ("1e16", "10000000000000000", True),
        ("[1.0]", "[1]", True),
        ("0.1", "0.10000000000000001", True),
        ("9007199254740993", "9007199254740993.0", False),
        ("9007199254740993", "9007199254740992", False),
        ("1e999", "1e998", False),
        ("1e999", "10e998", True),
        ("1", "true", False),
        ("1", '"1"', False),
        ("0", "false", False),
        ("null", '"null"', False),
        ('"\\u00e9"', '"é"', True),
        ('{"a":1,"b":[]}', '{"b":[], "a":1}', True),
        ("[1,2]", "[2,1]", False),
        ("x", "x", False),
    ],
)
def test_same_json(a: str, b: str, same: bool) -> None:
    assert same_json(a, b) is same
    assert same_json(b, a) is same


def test_compact() -> None:
    text = '{"a":[1,2.50,1e999,null,true,"\\u0000\\"é"],"b":{}}'
    assert compact(read_json(text.replace(",", " , "))) == text


# The assertions, with a DuckDB schema written from the reference itself


def write(warehouse: ReferenceWarehouse, schema: str = "s") -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"CREATE SCHEMA {schema}")
    for name, table in warehouse.rows(schema).items():
        clocks = ["loaded_at"] if name == "discards" else ["loaded_at", "uuid_ts"]
        types = table.types | dict.fromkeys(clocks, "TIMESTAMP")
        columns = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
        connection.execute(f'CREATE TABLE {schema}."{name}" ({columns})')
        marks = ", ".join("?" for _ in types)
        for row in table.rows:
            values = [None if row.get(c) is None else _plain(row[c]) for c in types]
            connection.execute(f'INSERT INTO {schema}."{name}" VALUES ({marks})', values)
    return connection


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value


EXAMPLE = [
    track(
        "m1",
        properties='{"a":1,"b":2.5,"c":[1e16],"d":"x","D":"y","id":"z","e":9007199254740993}',
        context='{"app":{"name":"n"}}',
        sentAt='"2024-05-01T12:00:00+02:00"',
    ),
    track("m2", 1, properties='{"a":"odd","e":0.5}'),
    call("identify", "m3", 2, traits='{"plan":true}'),
    track("m4", integrations='{"Warehouses":false}', properties='{"hidden":1}'),
]


def example() -> ReferenceWarehouse:
    warehouse = ReferenceWarehouse()
    for event in EXAMPLE:
        warehouse.load("s", event)
    return warehouse


def test_the_assertions_pass() -> None:
    connection = write(example())
    connection.execute("""UPDATE s.t SET c = '[1e+16]' WHERE c IS NOT NULL""")
    assert_same(example(), connection, "s")
    assert_nothing_lost(EXAMPLE, connection, "s")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE s.users", "table users is missing"),
        ("CREATE TABLE s.empty (id VARCHAR)", "table empty must not exist"),
        ("ALTER TABLE s.t DROP b", "column b is missing"),
        ("ALTER TABLE s.t DROP uuid_ts", "column uuid_ts is missing"),
        ("ALTER TABLE s.t ADD f BIGINT", "column f must not exist"),
        ("ALTER TABLE s.t ALTER c TYPE VARCHAR", "column c is VARCHAR; JSON expected"),
        ("DELETE FROM s.t WHERE id = 'm2'", "row is missing"),
        ("INSERT INTO s.t FROM s.t", "row must not exist"),
        ("UPDATE s.t SET d = 'Y' WHERE id = 'm1'", "d is 'Y', expected 'y'"),
        ("UPDATE s.t SET c = '[1e15]' WHERE id = 'm1'", "c is '[1e15]', expected '[1e16]'"),
        ("UPDATE s.t SET timestamp = timestamp + INTERVAL 1 MICROSECOND", "timestamp is"),
        ("UPDATE s.users SET plan = NULL", "plan is None, expected True"),
        ("UPDATE s.discards SET reason = 'type' WHERE reason = 'reserved'", "reason is 'type'"),
    ],
)
def test_assert_same_names_the_difference(statement: str, message: str) -> None:
    connection = write(example())
    connection.execute(statement)
    with pytest.raises(AssertionError) as failure:
        assert_same(example(), connection, "s")
    assert message in str(failure.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM s.discards WHERE reason = 'type'", "m2: properties/a = 'odd'"),
        ("DELETE FROM s.discards WHERE reason = 'precision'", "m1: properties/e"),
        ("DELETE FROM s.discards WHERE reason = 'collision'", "m1: properties/d = 'x'"),
        ("UPDATE s.t SET d = 'x' WHERE id = 'm1'", "m1: properties/D = 'y'"),
        ("UPDATE s.t SET c = NULL", "m1: properties/c"),
        ("UPDATE s.tracks SET context_app_name = NULL", "neither in s.tracks"),
        ("UPDATE s.t SET sent_at = sent_at + INTERVAL 2 HOUR", "m1: sentAt"),
        ("UPDATE s.identifies SET plan = false", "m3: traits/plan = True"),
        ("DELETE FROM s.identifies", "m3 has rows in []"),
    ],
)
def test_assert_nothing_lost_names_the_loss(statement: str, message: str) -> None:
    connection = write(example())
    connection.execute(statement)
    with pytest.raises(AssertionError) as failure:
        assert_nothing_lost(EXAMPLE, connection, "s")
    assert message in str(failure.value)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(stored_events(), st.sampled_from([(1000, 1600), (2, 1600), (1000, 13), (1, 12)]))
def test_the_reference_loses_nothing(events: list[bytes], caps: tuple[int, int]) -> None:
    warehouse = ReferenceWarehouse(max_event_tables=caps[0], max_columns=caps[1])
    for event in events:
        warehouse.load("s", event)
    with write(warehouse) as connection:
        assert_same(warehouse, connection, "s")
        assert_nothing_lost(events, connection, "s")


@settings(max_examples=25, deadline=None, database=None)
@given(st.data())
def test_chunked(data: st.DataObject) -> None:
    events = [str(i).encode() for i in range(data.draw(st.integers(0, 6)))]
    chunks = data.draw(chunked(events))
    assert [event for chunk in chunks for event in chunk] == events
    assert all(chunks)
