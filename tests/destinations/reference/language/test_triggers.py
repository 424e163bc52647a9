"""Triggers judge events as the public package `@segment/destination-subscriptions` does.

Generated triggers are put to both with every event. What differs on purpose, and why:

* Mixed `and` and `or` on one level: refused in a new trigger (destinations.md, section 0); an
  imported one keeps the meaning of the last connective.
* Parentheses: read at any depth, and with functions in them. The package collects up to the first
  closing one.
* Traps are refused in a new trigger and keep their meaning in an imported one: `event = null` and
  `type = true` (compare with the word), `x != true` (true of true), a `match` without a `*` at one
  end (drops the first letter), single quotes (become part of the text), values without quotes.
* Refused in both, where the package silently leaves a part out or never matches: `!(...)` (it
  drops the `!`), `!x = 1`, `contains(type, ...)`, `event.x`, a value or operator that is missing,
  `x < "a"`, a text or number that stands alone, `properties` without a key.
* Read in both, where the package gives up: keys named and, or or null; keys that begin with a
  digit; no space before `<` and `>`; a space after `!`; carriage returns; escaped characters
  beyond U+FFFF.
* Properties that JavaScript objects have by themselves (`constructor`, `toString`) are not there;
  whole numbers beyond 2**53 are exact.
* Written triggers: `x != true` is written as `x != "true"`, which is what it compares with; `[0]`
  in a path as `.0`.
"""

from __future__ import annotations

import json
import random
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.fql import FqlError, compile_trigger, generate, parse_trigger
from tests.requirements import require_npm_packages, require_tool

FOLDER = Path(__file__).parent
LIMIT_SECONDS = 120
SEED = 20261
Event = dict[str, Any]
Verdict = dict[str, str]

PATHS = (
    "type",
    "event",
    "name",
    "userId",
    "properties.a",
    "properties.a.b",
    "properties.Cup\\ Size",
    "properties.a.0",
    "properties.a\\[0\\].b",
    "properties.a.length",
    "properties.a-b_c.d",
    "traits.email",
    "context.page.path",
    "context.a.b.c",
)
READ_BY_THE_PACKAGE = tuple(path for path in PATHS if path != "properties.a.0")
TEXTS = ('"track"', '"x"', '""', '"5"', '"true"', '"Order Completed"', '"é 😀"', '"a*b"', '"[]"')
NUMBERS = ("5", "0", "-1", "+5", "5.0", "1.5", "-.5", "10")
ORDERS = ("<", "<=", ">", ">=")
PATTERNS = ('"x*"', '"*x"', '"*"', '"Order*"', '"*ed"', '"tr*"', '"**"')
ODD_PATTERNS = ('"*x*"', '"Foo"', '"x"', '""', "'x*'", "55", '"a*b"')
VALUES: tuple[Any, ...] = (
    None,
    "x",
    "",
    "5",
    "true",
    "track",
    "Order Completed",
    "é 😀",
    "xax",
    "oo",
    "'x'",
    "null",
    5,
    5.0,
    1.5,
    -0.5,
    0,
    -1,
    10,
    True,
    False,
    [],
    ["x", {"b": "x"}],
    [{"b": 5}, 5],
    {},
    {"b": "x"},
    {"b": 5, "length": 5},
    {"b": {"c": True}, "0": "x"},
    {"b": None},
)


REFUSED_WHEN_NEW = (
    'type = "track" and event = "x" or name = "x"',
    "event = null",
    "type != true",
    "properties.a != true",
    'match(event, "Foo")',
    'match(event, "*x*")',
    "event = 'x'",
    "type = track",
    'type = "track" AND event = "x"',
)
REFUSED = (
    "",
    "typo",
    "type",
    "type =",
    'type * "x"',
    'type "x" =',
    '!(type = "track")',
    '!type = "track"',
    'contains(type, "x")',
    'event.x = "y"',
    'properties = "x"',
    'properties.a < "a"',
    '"x"',
    "type = 5 5",
    'type = "track',
    '(type = "track"',
    'type = "track")',
    "()",
    "properties.größe = 5",
    "properties.a = -",
    "properties.a = 1.5.5",
    "event = \"x\" & type = 'y'",
)
READ_ONLY_HERE = (
    "properties.or = null",
    "properties.a.null = null",
    "properties.a.0 != null",
    "properties.a<11",
    '! contains(event, "zzz")',
    'type = "track"\r\nand event = "x"',
    "properties.\\😀 = null",
    '(type = "track" or (event = "x" and name = "x"))',
    '(contains(event, "zzz") or type = "track") and userId = null',
    "properties.constructor = null",
)


def _events() -> list[Event]:
    events: list[Event] = [{}, {"properties": None}, {"properties": [1], "traits": "x"}]
    for value in VALUES:
        events.append({key: value for key in ("type", "event", "name", "userId")})
        events.append({"type": "track", "event": "Order Completed", "properties": {"a": value}})
        events.append(
            {
                "properties": {"Cup Size": value, "a-b_c": {"d": value}, "a": [value]},
                "traits": {"email": value},
                "context": {"page": {"path": value}, "a": {"b": {"c": value}}},
            }
        )
    return events


EVENTS = _events()


@pytest.fixture(scope="module")
def package() -> Any:
    """Judge triggers by the package, in one Node process."""
    node = require_tool("node")
    require_npm_packages(FOLDER)

    def judge(triggers: list[str]) -> list[Verdict]:
        done = subprocess.run(
            [node, "triggers.cjs"],
            cwd=FOLDER,
            input=json.dumps({"events": EVENTS, "triggers": triggers}),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        verdicts: list[Verdict] = json.loads(done.stdout)
        return verdicts

    return judge


def ours(trigger: str, *, imported: bool = False) -> str:
    test = compile_trigger(trigger, imported=imported)
    results = [test(event) for event in EVENTS]
    assert set(map(type, results)) == {bool}
    return "".join("1" if result else "0" for result in results)


def differences(triggers: list[str], verdicts: list[Verdict], *, imported: bool) -> list[str]:
    found = []
    for trigger, verdict in zip(triggers, verdicts, strict=True):
        if "error" in verdict:
            found.append(f"{trigger}: the package says {verdict['error']}")
            continue
        for event, here, there in zip(
            EVENTS, ours(trigger, imported=imported), verdict["verdicts"], strict=True
        ):
            if here != there:
                found.append(f"{trigger} of {event}: {here} here, {there} there")
    return found[:20]


def _comparisons() -> list[str]:
    """Every condition that means what it says."""
    made = []
    for path in READ_BY_THE_PACKAGE:
        words = ["= null", "!= null"] if path not in ("type", "event") else []
        words += ["= true", "= false"] if path not in ("type", "event", "name") else []
        made += [f"{path} {word}" for word in words]
        made += [f"{path} {op} {text}" for op, text in product(("=", "!="), TEXTS + NUMBERS)]
        made += [f"{path} {op} {number}" for op, number in product(ORDERS, NUMBERS)]
        if path != "type":
            made += [f"{sign}contains({path}, {text})" for sign in ("", "!") for text in TEXTS]
            made += [f"{sign}match({path}, {text})" for sign in ("", "!") for text in PATTERNS[:-1]]
    return made


def _odd_comparisons() -> list[str]:
    """What an imported trigger may hold besides."""
    made = []
    for path in READ_BY_THE_PACKAGE:
        values = ("true", "false", "null", "x", "track", "'x'", "some.words", "'say \"x\"'")
        made += [f"{path} {op} {value}" for op, value in product(("=", "!="), values)]
        bounds = ('"5"', '""', '" 1.5 "', "true", "false", '"1e1"')
        made += [
            f"{path} {op} {bound}"
            for op, bound in product(ORDERS, bounds)
            if "." in path or bound[0] == '"'
        ]
        if path != "type":
            made += [f"match({path}, {text})" for text in ODD_PATTERNS]
            made += [f"!contains({path}, {text})" for text in ("5", "true", "word", "'x'")]
    return made


def test_each_condition_judges_every_event_alike(package: Any) -> None:
    triggers = _comparisons()
    assert len(triggers) > 800
    verdicts = package(triggers)
    assert differences(triggers, verdicts, imported=False) == []
    assert differences(triggers, verdicts, imported=True) == []
    assert any("1" in each["verdicts"] for each in verdicts)


def test_joined_conditions_judge_every_event_alike(package: Any) -> None:
    rng = random.Random(SEED)
    conditions = _comparisons()
    triggers = []
    for _ in range(1500):
        connective = rng.choice((" and ", " or ", "\n  and\t", "  or "))
        parts = rng.sample(conditions, rng.randint(2, 6))
        plain = [part for part in conditions if "(" not in part]
        if rng.random() < 0.4:
            inner = rng.choice((" and ", " or ")).join(rng.sample(plain, rng.randint(1, 3)))
            parts.insert(rng.randrange(len(parts) + 1), f"({inner})")
        triggers.append(connective.join(parts))
    assert differences(triggers, package(triggers), imported=False) == []


def test_what_is_imported_keeps_its_meaning(package: Any) -> None:
    rng = random.Random(SEED + 1)
    odd = _odd_comparisons()
    conditions = _comparisons() + odd
    connectives = (
        " and ",
        " or ",
        " AND ",
        " OR ",
        " ",
        " and or ",
        " nonsense and ",
        " or other.x ",
    )
    triggers = list(odd)
    for _ in range(1500):
        text = rng.choice(conditions)
        for _ in range(rng.randint(1, 5)):
            text += rng.choice(connectives) + rng.choice(conditions)
        triggers.append(text)
    assert differences(triggers, package(triggers), imported=True) == []


def test_parentheses_of_any_depth_join_what_the_package_says_of_each_condition(
    package: Any,
) -> None:
    rng = random.Random(SEED + 2)
    conditions = _comparisons()
    judged = dict(zip(conditions, (each["verdicts"] for each in package(conditions)), strict=True))

    def tree(depth: int) -> tuple[str, str]:
        if depth == 0 or rng.random() < 0.2:
            condition = rng.choice(conditions)
            return condition, judged[condition]
        word = rng.choice(("and", "or"))
        parts = [tree(depth - 1) for _ in range(rng.randint(2, 3))]
        join = min if word == "and" else max
        verdicts = "".join(map(join, *(verdict for _, verdict in parts)))
        return f"({f' {word} '.join(text for text, _ in parts)})", verdicts

    for _ in range(500):
        text, expected = tree(4)
        assert ours(text) == expected, text
        assert ours(text, imported=True) == expected, text


def test_triggers_are_written_alike(package: Any) -> None:
    rng = random.Random(SEED + 3)
    conditions = [
        text
        for text in _comparisons() + _odd_comparisons()
        if "[" not in text.split('"')[0] and not text.endswith(("!= true", "!= false"))
    ]
    triggers = [" and ".join(rng.sample(conditions, rng.randint(1, 4))) for _ in range(500)]
    for trigger, verdict in zip(triggers, package(triggers), strict=True):
        node = parse_trigger(trigger, imported=True)
        assert generate(node) == verdict["written"], trigger


def test_of_random_words_nothing_is_read_otherwise(package: Any) -> None:
    rng = random.Random(SEED + 4)
    words = (
        *("type", "event", "properties.a", "traits.email", "=", "!=", "<", '"x"', '"track"', "5"),
        *("true", "null", "and", "or", "AND", "contains", "match", ",", "word", "!"),
        *('contains(event, "x")', '!match(event, "x*")', 'type = "track"', "properties.a = 5"),
    )
    triggers = [" ".join(rng.choices(words, k=rng.randint(1, 8))) for _ in range(5000)]
    triggers += [trigger.replace("! ", "!") for trigger in triggers]
    read = []
    for trigger in triggers:
        try:
            compile_trigger(trigger, imported=True)
        except FqlError:
            continue
        if "! " not in trigger:
            read.append(trigger)
    assert len(read) > 300
    assert differences(read, package(read), imported=True) == []
    for trigger in read:
        try:
            strict = ours(trigger)
        except FqlError:
            continue
        assert strict == ours(trigger, imported=True), trigger


def test_traps_are_refused_when_new_and_keep_their_meaning_when_imported(package: Any) -> None:
    for trigger in REFUSED_WHEN_NEW:
        with pytest.raises(FqlError):
            compile_trigger(trigger)
    assert differences(list(REFUSED_WHEN_NEW), package(list(REFUSED_WHEN_NEW)), imported=True) == []


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("trigger", REFUSED)
def test_what_can_not_mean_what_it_says_is_refused(trigger: str, imported: bool) -> None:
    with pytest.raises(FqlError):
        compile_trigger(trigger, imported=imported)


def test_what_only_we_read_is_read(package: Any) -> None:
    for trigger, verdict in zip(READ_ONLY_HERE, package(list(READ_ONLY_HERE)), strict=True):
        assert ours(trigger) == ours(trigger, imported=True)
        assert ours(trigger) != verdict.get("verdicts"), trigger
