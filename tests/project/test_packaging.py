"""What is installed is what is in the checkout, and complete."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import penstock
from tests.project.reference import ROOT
from tests.requirements import is_required

BUILD_LIMIT_S = 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout; skipped where its build tools can't be had soon."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
               "--no-deps", "--wheel-dir", str(folder), str(ROOT)]  # fmt: skip
    limit = None if is_required("wheel") else BUILD_LIMIT_S
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        pytest.skip(f"needs the wheel's build tools within {BUILD_LIMIT_S} s")
    except subprocess.CalledProcessError as error:
        if "No matching distribution" in error.stderr and not is_required("wheel"):
            pytest.skip("needs hatchling from a package registry")
        pytest.fail(error.stderr)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == penstock.__version__ == version("penstock")


def test_licence_and_readme_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (ROOT / "README.md").stat().st_size > 500


def test_the_wheel_holds_every_module_and_what_they_read(wheel: zipfile.ZipFile) -> None:
    with wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith("METADATA"))
        text = wheel.read(metadata).decode()
    modules = {_inside(path, "src") for path in (ROOT / "src").rglob("*.py")}
    queries = {
        f"penstock/demo/sql/{path.name}"
        for path in (ROOT / "examples" / "toastmates" / "sql").glob("*.sql")
    }
    assert queries
    assert modules | queries | {"penstock/py.typed"} <= names
    assert [name for name in names if "tests/" in name or "node_modules" in name] == []
    assert f"Version: {penstock.__version__}\n" in text
    assert "License-Expression: Apache-2.0\n" in text


def _inside(path: Path, folder: str) -> str:
    return path.relative_to(ROOT / folder).as_posix()
