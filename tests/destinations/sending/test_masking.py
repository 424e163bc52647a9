from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.destinations.contract import Destination, Setting
from penstock.destinations.sending.masking import Masker, secrets_of


@given(st.text(st.characters(codec="utf-8"), min_size=6), st.binary(max_size=7))
def test_a_secret_is_found_in_every_form(secret: str, before: bytes) -> None:
    mask = Masker([secret])
    for form in (
        secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret),
        quote(secret, safe=""), quote_plus(secret), urlencode({"a": secret}),
    ):  # fmt: skip
        assert mask.finds(f"x{form}y"), form
    if len(secret.encode()) >= 6:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            assert mask.finds(encode(before + secret.encode() + before).decode())


def test_what_is_left() -> None:
    mask = Masker(["s3cret-key", "ab", ""])
    assert mask.text("key=s3cret-key&x=ab&cab=1") == "key=***&x=***&cab=1"
    assert (
        mask.url("https://me:pass@x.example/s3cret-key?u=a@b") == "https://***@x.example/***?u=a@b"
    )
    assert mask.headers({"Authorization": "Bearer abc", "Cookie": "a", "X": "s3cret-key"}) == {
        "Authorization": "Bearer ***", "Cookie": "***", "X": "***",
    }  # fmt: skip
    assert Masker([]).text("anything") == "anything"


def test_the_longest_secret_is_masked_whole() -> None:
    assert Masker(["secret", "secret-and-more"]).text("secret-and-more") == "***"


def test_secrets_are_those_of_the_settings_marked_so() -> None:
    settings = (
        Setting("a", "A", secret=True), Setting("b", "B"), Setting("c", "C", "object", secret=True),
        Setting("d", "D", secret=True),
    )  # fmt: skip
    definition = Destination("x", "X", "", (), settings)
    values = {"a": "one", "b": "two", "c": {"k": "three", "n": [4, True]}}
    assert secrets_of(definition, values) == ("one", "three", "4")


@pytest.mark.parametrize("secret", ["-----BEGIN KEY-----\nMIIB/x+y==\n-----END KEY-----\n"])
def test_keys_with_lines(secret: str) -> None:
    assert "MIIB" not in Masker([secret]).text(json.dumps({"key": secret, "b": secret.strip()}))
