"""The documentation site builds without a warning and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.project.reference import DOCS, ROOT

BUILD = """
import sys
from mkdocs.commands.build import build
from mkdocs.config import load_config
build(load_config("mkdocs.yml", site_dir=sys.argv[1], strict=True, hooks=[]))
"""
"""Without the hook, which would bring generated pages up to date that another test checks."""


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md"))) - 1
    loading = re.compile(r"<(?:script|img|iframe)[^>]*src=\"https?:|<link[^>]*href=\"https?:")
    assert [page for page in pages if loading.search(page.read_text(encoding="utf-8"))] == []
    assert not list(tmp_path.rglob("*.py"))


def test_every_page_is_in_the_navigation() -> None:
    """The pages of tools are listed by the catalogue."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    catalogue = (DOCS / "destinations" / "index.md").read_text(encoding="utf-8")
    missing = [
        page
        for page in DOCS.rglob("*.md")
        if str(page.relative_to(DOCS)) not in navigation
        and not (page.parent.name == "destinations" and f"({page.name})" in catalogue)
    ]
    assert [page for page in missing if page.name != "benchmarks.md"] == []
