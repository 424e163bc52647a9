"""Hashing, times and mappings that several tools share."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from penstock.destinations.catalog.common import hashing, times
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.paths import either, elements, path
from penstock.destinations.catalog.common.places import COUNTRY_CODES, CURRENCIES, US_STATE_CODES
from penstock.destinations.contract import Call, InvalidPayload, Payload
from penstock.destinations.mappings import compile_mapping

ANN = hashlib.sha256(b"ann@toast.test").hexdigest()


def test_what_is_hashed_is_written_alike_before() -> None:
    assert hashing.hashed(" Ann@Toast.test\u00a0", hashing.email_address) == ANN
    assert hashing.hashed("ann@toast.test") == ANN


@pytest.mark.parametrize("given", [ANN, ANN.upper()])
def test_a_hash_is_left_as_it_is(given: str) -> None:
    assert hashing.hashed(given, hashing.email_address) == given


@pytest.mark.parametrize("given", ["", "  ", "\ufeff"])
def test_nothing_has_no_hash(given: str) -> None:
    assert hashing.hashed(given) == ""


def test_what_is_nothing_once_written_has_no_hash() -> None:
    assert hashing.hashed("+ - ()", hashing.digits) == ""
    assert hashing.hashed_list(["x", " ", "??"], hashing.city_letters) == [hashing.hash_text("x")]


@pytest.mark.parametrize(
    ("text", "method", "digest", "known"),
    [
        ("a" * 64, "sha256", "hex", True),
        ("a" * 63, "sha256", "hex", False),
        ("g" * 64, "sha256", "hex", False),
        ("a" * 64 + "\n", "sha256", "hex", False),
        ("0" * 32, "md5", "hex", True),
        ("A" * 43 + "=", "sha256", "base64", True),
        ("A" * 43, "sha256", "base64", False),
        ("A" * 43 + "!", "sha256", "base64", False),
    ],
)
def test_a_hash_is_known_by_its_form(
    text: str, method: hashing.Method, digest: hashing.Digest, known: bool
) -> None:
    assert hashing.is_hashed(text, method, digest) is known


def test_base64_hashes_have_the_length_that_is_recognised() -> None:
    for method in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        made = hashing.hash_text("x", method, "base64")
        assert hashing.is_hashed(made, method, "base64")
        assert not hashing.is_hashed(made[:-1], method, "base64")


@pytest.mark.parametrize(
    ("write", "text", "written"),
    [
        (hashing.compact, " New York ", "newyork"),
        (hashing.digits, "+1 (415) 555-0123", "14155550123"),
        (hashing.digits, "٣3", "3"),
        (hashing.name_letters, " Anne-Marie O'Neil ", "annemarie oneil"),
        (hashing.city_letters, "São Paulo", "sopaulo"),
        (hashing.postal_code, "94035-1234", "94035"),
        (hashing.postal_code, "SW1A 1AA", "sw1a1aa"),
        (hashing.gender_letter, " Female", "f"),
        (hashing.gender_letter, "other", ""),
        (hashing.us_state, "New York", "ny"),
        (hashing.us_state, "CA", "ca"),
        (hashing.country_code, "United States", "us"),
        (hashing.country_code, "Cote d'Ivoire", "ci"),
        (hashing.month_number, "March", "03"),
        (hashing.month_number, "3", "03"),
        (hashing.birth_date, "1997-12-26T00:00:00Z", "19971226"),
        (hashing.birth_date, "26 Dec", "26dec"),
    ],
)
def test_personal_data_is_written_in_one_form(write: object, text: str, written: str) -> None:
    assert callable(write)
    assert write(text) == written


def test_names_of_places_are_in_the_form_they_are_looked_up_in() -> None:
    for name in (*COUNTRY_CODES, *US_STATE_CODES):
        assert hashing.compact(name) == name
    assert len(US_STATE_CODES) == 50
    assert {"EUR", "JPY", "XAU"} < CURRENCIES


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-05-03T10:20:30.999Z", 1714731630),
        ("2024-05-03T10:20:30+02:00", 1714724430),
        ("2024-05-03", 1714694400),
        ("1969-12-31T23:59:59.5Z", -1),
        ("Fri, 03 May 2024 10:20:00 GMT", 1714731600),
        ("2024-02-31", 1709337600),
        ("soon", "soon"),
        ("2024-05-32", "2024-05-32"),
        ("1714731630", "1714731630"),
        ("1714731630.5", "1714731630.5"),
        (17, 17),
        (None, None),
    ],
)
def test_times_become_seconds(text: object, seconds: object) -> None:
    assert times.unix_seconds(text) == seconds


def test_only_iso_texts_in_objects_become_seconds() -> None:
    given = {"a": "2024-05-03", "b": {"c": "2024-05-03T00:00Z"}, "d": ["2024-05-03"], "e": "2024"}
    assert times.with_unix_seconds(given) == {
        "a": 1714694400,
        "b": {"c": 1714694400},
        "d": ["2024-05-03"],
        "e": "2024",
    }
    assert given["a"] == "2024-05-03"


def test_either_takes_the_first_that_is_there() -> None:
    made = compile_mapping({"to": either("traits.email", "properties.email", "userId")})
    assert made({"traits": {"email": None}, "properties": {"email": "b"}, "userId": "c"}) == {
        "to": "b"
    }
    assert made({"userId": "c"}) == {"to": "c"}


def test_elements_are_rewritten() -> None:
    made = compile_mapping({"items": elements("properties.products", id="sku"), "n": path("event")})
    event = {"event": "e", "properties": {"products": [{"sku": "1"}, {"sku": "2", "x": 1}]}}
    assert made(event) == {"items": [{"id": "1"}, {"id": "2"}], "n": "e"}


def _call(*payloads: Payload) -> Call:
    return Call(payloads, {}, datetime(2026, 1, 1, tzinfo=UTC), lambda: "id")


def _half(payload: Payload) -> int:
    if payload["n"] % 2:
        raise InvalidPayload("odd")
    return int(payload["n"] // 2)


def test_payloads_of_a_batch_fail_alone() -> None:
    made, failures = made_of_each(_call({"n": 2}, {"n": 3}, {"n": 4}), _half)
    assert made == {0: 1, 2: 2}
    assert failures[1].status == 400
    assert failures[1].message == "odd"


def test_a_payload_alone_raises() -> None:
    with pytest.raises(InvalidPayload, match="odd"):
        made_of_each(_call({"n": 3}), _half)
