"""What a user can set, type or meet is in the reference; what is public is so on purpose."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from penstock.events import INGEST_CODES, Source
from penstock.ingest.accept import Acceptor, BadRequest, Request
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS
from penstock.settings import Settings, environment_name
from tests.project.reference import DOCS, ROOT, generator

SOURCE = ROOT / "src" / "penstock"
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if path.name != "__main__.py"
)


def test_generated_pages_are_up_to_date() -> None:
    stale = [
        path.name
        for path, text in generator().pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run python docs/generate.py"


def test_every_setting_is_documented() -> None:
    page = _reference("settings")
    for field in dataclasses.fields(Settings):
        assert f"| `{field.name}` | `{environment_name(field.name)}` |" in page
        assert field.metadata["help"] in page


def test_every_command_and_option_is_documented() -> None:
    page = _reference("commands")
    for name, command in generator().commands().items():
        section = page.partition(f"## penstock {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            shown = parameter.opts if parameter.param_type_name == "option" else []
            assert parameter.help, f"{name} {parameter.name} has no help"
            for option in shown:
                assert f"`{option}`" in section, f"{name} {option}"


def test_every_ingest_code_is_documented() -> None:
    page = _reference("codes")
    for code, text in INGEST_CODES.items():
        assert f"| `{code}` | {text} |" in page


def test_every_answer_of_the_collector_is_documented() -> None:
    known = set(INGEST_CODES)
    for codes, _ in generator().ANSWERS.values():
        known |= set(codes.split(", "))
    used = {code for path in (SOURCE / "ingest").glob("*.py") for code in _answer_codes(path)}
    assert "method_not_allowed" in used
    assert used <= known


def test_every_path_is_documented() -> None:
    page = _reference("http")
    paths = [*POST_CALLS, *PIXEL_CALLS, "/v1/m", "/health", "/ready", "/metrics"]
    assert [path for path in paths if f"`{path}`" not in page] == []


def test_settings_and_codes_that_pages_name_exist() -> None:
    settings = {environment_name(field.name) for field in dataclasses.fields(Settings)}
    allowed = settings | {"PENSTOCK_TEST_REQUIRE", "PENSTOCK_SOAK", "PENSTOCK_CHROMIUM"}
    allowed |= {"PENSTOCK_URL", "PENSTOCK_TOKEN"}
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        named = set(re.findall(r"PENSTOCK_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= allowed, page


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_listed_sorted_and_exist(name: str) -> None:
    module = importlib.import_module(name)
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is None:
        is_package = hasattr(module, "__path__")
        assert not (is_package and _defines_names(module)), f"{name} has no __all__"
        return
    assert listed == sorted(listed, key=_order), f"{name}.__all__ is not sorted"
    assert [missing for missing in listed if not hasattr(module, missing)] == []


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff (RUF022) keeps."""
    plain = name.strip("_")
    if plain.isupper() and len(plain) > 1:
        return 0, name
    return (1, name) if plain[:1].isupper() else (2, name)


def _defines_names(module: ModuleType) -> bool:
    """Whether a package's ``__init__`` holds more than its docstring."""
    assert module.__file__ is not None
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    return len(body) > 1


def _answer_codes(path: Path) -> set[str]:
    """Codes given to the call that makes an answer: a status, then a code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            status, code = node.args[0], node.args[1]
            if (
                isinstance(status, ast.Constant)
                and isinstance(status.value, int)
                and 200 <= status.value < 600
                and isinstance(code, ast.Constant)
                and isinstance(code.value, str)
            ):
                found.add(code.value)
    return found


def _reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_what_decision_1_says_of_the_collector_holds() -> None:
    source = Source("web", "Web", "browser", write_keys=("k",))
    acceptor = Acceptor({"k": source}.get, max_event_bytes=33_000, max_batch_items=10)
    event = {"event": "Toast", "userId": "u1", "messageId": "m" * 200, "email": "a@b.test"}
    request = Request("/v1/track", "track", json.dumps(event).encode(), "k", None)
    (record,) = acceptor.accept(request).records
    assert (len(record.message_id), json.loads(record.payload)["email"]) == (200, "a@b.test")
    assert Settings().unknown_key_status == 401
    with pytest.raises(BadRequest) as unknown:
        acceptor.accept(dataclasses.replace(request, header_key="other"))
    assert unknown.value.status == 401
