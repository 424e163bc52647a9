"""The files in deploy/ name only what exists, and agree with the settings."""

from __future__ import annotations

import dataclasses
import re
import shlex
from configparser import RawConfigParser

from penstock.settings import Settings, environment_name
from tests.project.reference import DOCS, ROOT, generator

DEPLOY = ROOT / "deploy"
FILES = ("Caddyfile", "Containerfile", "nginx.conf", "penstock.service")


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def test_settings_that_the_files_name_exist() -> None:
    known = {field.name for field in dataclasses.fields(Settings)}
    variables = {environment_name(name) for name in known}
    for name in FILES:
        assert set(re.findall(r"PENSTOCK_[A-Z_]+[A-Z]", text(name))) <= variables, name
    for name in ("Caddyfile", "nginx.conf"):
        assert set(re.findall(r"\b(host|public_url) = ", text(name))) <= known


def test_the_service_calls_up_with_options_it_has() -> None:
    unit = RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text("penstock.service"))
    service = unit["Service"]
    program, command, *arguments = shlex.split(service["ExecStart"])
    assert (program.rpartition("/")[2], command) == ("penstock", "up")
    options = {option for each in generator().commands()["up"].params for option in each.opts}
    assert {word for word in arguments if word.startswith("--")} <= options
    assert int(service["LimitNOFILE"]) > Settings().max_connections + 256
    assert service["KillMode"] == "mixed", "the roles must be drained in order"


def test_proxies_ask_the_default_ports_and_say_who_called() -> None:
    for name in ("Caddyfile", "nginx.conf"):
        assert f"127.0.0.1:{Settings().port}" in text(name)
        assert f"127.0.0.1:{Settings().console_port}" in text(name)
        assert "/metrics" in text(name)
    headers = re.findall(r"proxy_set_header (\S+) (\S+);", text("nginx.conf"))
    for header, value in (
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Forwarded-Host", "$host"),
    ):
        assert [each for each in headers if each[0] == header] == [(header, value)] * 2


def test_the_container_gets_what_the_package_is_built_from() -> None:
    taken = re.findall(r"^!(\S+)$", text("Containerfile.dockerignore"), re.MULTILINE)
    assert all((ROOT / name).exists() for name in taken)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"src", "examples", "README.md", "LICENSE", "pyproject.toml"} <= set(taken)
    assert 'readme = "README.md"' in project
    assert re.search(r"^USER (?!0|root)", text("Containerfile"), re.MULTILINE)
    assert f":{Settings().port}/ready" in text("Containerfile")


def test_the_guide_names_every_file() -> None:
    guide = (DOCS / "guides" / "run-for-real.md").read_text(encoding="utf-8")
    assert [name for name in FILES if f"deploy/{name}" not in guide] == []
