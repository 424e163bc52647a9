"""Settings: what is refused, and where a value comes from."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError
from penstock.settings import Settings, load_settings, unknown_variables

NOWHERE = Path("/dev/null")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("warehouse_chunk", "0", "at least 1"),
        ("queue_bytes", "-1", "at least 1"),
        ("max_request_bytes", "0", "at least 1"),
        ("max_event_bytes", "0", "at least 1"),
        ("max_batch_items", "-5", "at least 1"),
        ("segment_bytes", "0", "at least 1"),
        ("workers", "0", "at least 1"),
        ("journal_max_bytes", "-1", "not below 0"),
        ("min_free_disk", "-1", "not below 0"),
        ("warehouse_threads", "-1", "not below 0"),
        ("sql_timeout", "0", "longer than zero"),
        ("body_timeout", "0s", "longer than zero"),
        ("received_retention", "0d", "longer than zero"),
        ("compact_every", "-1h", "a duration"),
        ("trusted_proxies", "localhost", "neither an address nor a network"),
        ("trusted_proxies", "10.0.0.0/8, 300.1.1.1", "'300.1.1.1'"),
        ("tls_cert", "/somewhere/cert.pem", "give both, or neither"),
        ("one_port", "maybe", "true or false"),
        ("max_connections", "0", "at least 1"),
        ("warn_free_disk", "-1", "not below 0"),
    ],
)
def test_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_settings(environment={f"PENSTOCK_{name.upper()}": value}, file=NOWHERE)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_proxies", "10.0.0.0/8, ::1,192.168.1.7"),
        ("trusted_proxies", ""),
        ("journal_max_bytes", "0"),
        ("min_free_disk", "0"),
        ("warehouse_threads", "0"),
        ("trusted_proxies", "2001:db8::/32"),
    ],
)
def test_taken(name: str, value: str) -> None:
    settings = load_settings(environment={f"PENSTOCK_{name.upper()}": value}, file=NOWHERE)
    assert str(getattr(settings, name)) == value


def test_an_empty_variable_is_a_text_but_no_number_duration_or_path() -> None:
    names = ("PUBLIC_URL", "TRUSTED_PROXIES", "PORT", "DATA", "SQL_TIMEOUT")
    settings = load_settings(environment={f"PENSTOCK_{name}": "" for name in names}, file=NOWHERE)
    assert settings == Settings(trusted_proxies="")


def test_an_empty_variable_overrules_the_file(tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text('public_url = "https://cdp.test"\nport = 9000\n')
    settings = load_settings(
        environment={"PENSTOCK_PUBLIC_URL": "", "PENSTOCK_PORT": ""}, file=file
    )
    assert (settings.public_url, settings.port) == ("", 9000)


def test_the_defaults_pass_their_own_check() -> None:
    settings = load_settings(environment={}, file=NOWHERE)
    assert settings == Settings()
    assert settings.sql_timeout == timedelta(minutes=5)
    assert settings.socket_file == Path("penstock-data/run/warehouse.sock")
    assert settings.state_file == Path("penstock-data/state.sqlite")


def test_one_port_needs_a_port_to_hand_requests_on_to() -> None:
    given = {"PENSTOCK_ONE_PORT": "true", "PENSTOCK_CONSOLE_PORT": "0"}
    with pytest.raises(ConfigurationError, match="one_port: needs a console_port"):
        load_settings(environment=given, file=NOWHERE)
    assert load_settings(environment={"PENSTOCK_ONE_PORT": "yes"}, file=NOWHERE).one_port


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("port = 9000.5", "9000.5 is not a whole number"),
        ("port = true", "True is not a whole number"),
        ("workers = false", "False is not a whole number"),
        ("host = 5", "5 is not text"),
        ("sql_timeout = true", "True is not a duration"),
        ('one_port = "perhaps"', "'perhaps' is not true or false"),
        ("dedup_window = 5", "did you mean dedupe_window?"),
        ("zzz = 5", "Settings in the documentation"),
        ('log_format = "xml"', "log_format: one of auto, text, json"),
        ('log_level = "loud"', "log_level: one of debug"),
    ],
)
def test_a_line_of_the_file_that_is_refused(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(line)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load_settings(environment={}, file=file)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("false", False)])
def test_a_variable_may_be_true_or_false(text: str, value: bool) -> None:
    settings = load_settings(environment={"PENSTOCK_ONE_PORT": text}, file=NOWHERE)
    assert settings.one_port is value


def test_variables_that_are_no_settings_are_named_with_what_was_meant() -> None:
    variables = {"PENSTOCK_PORT": "1", "PENSTOCK_WORKER": "2", "PENSTOCK_XYZZY": "", "PATH": ""}
    assert unknown_variables(variables) == {
        "PENSTOCK_WORKER": "PENSTOCK_WORKERS", "PENSTOCK_XYZZY": "",
    }  # fmt: skip
