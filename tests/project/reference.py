"""The documentation, as tests read it."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@cache
def generator() -> Any:
    """The module ``docs/generate.py``, which lies outside every package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(DOCS))  # where the modules beside it lie
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


def pages() -> list[Path]:
    """Every text a user reads."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")),
            ROOT / "examples" / "toastmates" / "README.md"]  # fmt: skip


def samples(page: Path, language: str) -> list[str]:
    """The code samples of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return [body for _, kind, body in _FENCE.findall(text) if kind == language]
