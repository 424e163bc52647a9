"""The samples in the documentation are right: they parse, and where feasible they run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.events.model import Source
from penstock.ingest.accept import Acceptor, Request
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS
from penstock.settings import load_settings
from penstock.warehouses.queries import checked
from penstock.workspace import load
from tests.project.reference import DOCS, ROOT, generator, pages, samples

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]
KEY = "YOUR_WRITE_KEY"


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse_with_the_real_options(page: Path) -> None:
    commands = generator().commands()
    for words in _command_lines(page):
        name, *arguments = words
        if name in ("--help", "--version"):
            continue
        if any(command.startswith(f"{name} ") for command in commands):
            if not arguments:
                continue
            name, *arguments = f"{name} {arguments[0]}", *arguments[1:]
        assert name in commands, f"penstock {name}"
        if "--help" in arguments:
            continue
        context = commands[name].make_context(name, list(arguments))
        if name == "sql" and context.params["query"]:
            checked(context.params["query"], context.params["dialect"])
        if name == "sql" and context.params["file"]:
            assert (ROOT / context.params["file"]).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in _shell_lines(page):
        if line.startswith("make "):
            assert shlex.split(line, comments=True)[1] in targets, line


@pytest.mark.parametrize("page", PAGES)
def test_curl_lines_are_accepted(page: Path) -> None:
    refused = 0
    for line in _shell_lines(page):
        if line.startswith("curl "):
            refused += len(_sent(shlex.split(line)))
    assert refused == (1 if page.name == "first-event.md" else 0)


@pytest.mark.parametrize("page", PAGES)
def test_data_samples_are_valid(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_WRITE_KEY", "k-from-environment")
    for number, text in enumerate(samples(page, "json")):
        assert isinstance(json.loads(text), dict), number
    for number, text in enumerate(samples(page, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        assert tomllib.loads(text)
        load_settings({}, {}, file)
    for number, text in enumerate(samples(page, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert load(file)
    for text in samples(page, "python"):
        ast.parse(text)


def test_the_batch_of_the_http_page_is_accepted() -> None:
    (body,) = samples(DOCS / "reference" / "http.md", "json")
    acceptance = _acceptor().accept(Request("/v1/batch", "batch", body.encode(), KEY, None))
    assert (len(acceptance.records), acceptance.refusals) == (2, [])


def test_the_refusal_shown_is_the_one_given() -> None:
    answer = json.loads(samples(DOCS / "guides" / "first-event.md", "json")[1])
    (line,) = [
        line
        for line in _shell_lines(DOCS / "guides" / "first-event.md")
        if line.startswith("curl ") and "userId" not in line
    ]
    shown = [(item["index"], item["code"], item["message"]) for item in answer["rejected"]]
    assert _sent(shlex.split(line)) == shown
    assert answer in [json.loads(text) for text in samples(DOCS / "reference" / "codes.md", "json")]


def test_links_inside_the_documentation_lead_somewhere() -> None:
    for page in pages():
        text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def _sent(words: list[str]) -> list[Any]:
    """What the collector refuses of the event that a curl line sends."""
    url = next(word for word in words if word.startswith("http"))
    path = "/" + url.split("/", 3)[3]
    assert path in {**POST_CALLS, **PIXEL_CALLS}, path
    user = words[words.index("-u") + 1]
    assert user == f"{KEY}:"
    body = words[words.index("-d") + 1].encode()
    return _acceptor().accept(Request(path, POST_CALLS[path], body, KEY, None)).refusals


def _acceptor() -> Acceptor:
    source = Source("web", "Web", "browser", write_keys=(KEY,))
    return Acceptor(
        lambda key: source if key == KEY else None, max_event_bytes=33_000, max_batch_items=100
    )


def _shell_lines(page: Path) -> Iterator[str]:
    """The commands of a page's console samples, continued lines joined, without the prompt."""
    for sample in samples(page, "console"):
        for line in sample.replace("\\\n", " ").splitlines():
            assert line.startswith("$ "), f"{page.name}: {line}"
            yield line.removeprefix("$ ")


def _command_lines(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``penstock`` command of a page."""
    for line in _shell_lines(page):
        words = shlex.split(line, comments=True)
        if words[0] in ("penstock", ".venv/bin/penstock"):
            end = next((i for i, word in enumerate(words) if word in (">", "|", "<")), len(words))
            yield words[1:end]
    inline = re.findall(r"`penstock ([a-z-]+[^`]*)`", page.read_text(encoding="utf-8"))
    incomplete = ("sql", "apply", "backup", "restore")
    yield from ([name.split()[0]] for name in inline if name.split()[0] not in incomplete)
