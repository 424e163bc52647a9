"""What a test needs beyond Python: it is skipped when that is missing, or fails when required.

`PENSTOCK_TEST_REQUIRE` names what must be there (`node,chromium`, or `all`); CI sets `all`, so
that nothing is skipped there in silence.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

MIN_NODE = 20
CHROMIUM_PATHS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
NPM_LIMIT = timedelta(minutes=5)

_NPM_UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|EPROTO"
    r"|ERR_SOCKET_TIMEOUT|E403|E50[234]|ENOTCACHED|UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
    r"|SELF_SIGNED_CERT_IN_CHAIN)\b"
)


class ToolMissingError(Exception):
    """A tool is not on this machine; the text names it, as in 'Node 18+ (node not found)'."""


def require_tool(name: str) -> str:
    """Give the path of `node`, `npm`, `libreoffice` or `chromium`, or skip or fail the test."""
    try:
        return _TOOLS[name].find()
    except ToolMissingError as missing:
        _give_up(name, str(missing))


def require_npm_packages(folder: Path) -> Path:
    """Give `folder`'s node_modules with exactly its package-lock.json in it; installs on first use.

    A registry that can't be reached counts as npm missing; any other error of npm fails the test.
    """
    npm = require_tool("npm")
    try:
        return _installed_packages(npm, folder)
    except ToolMissingError as missing:
        _give_up("npm", str(missing))


def is_required(name: str) -> bool:
    """Tell whether this run must not skip tests that need `name`."""
    names = {part.strip() for part in os.environ.get("PENSTOCK_TEST_REQUIRE", "").split(",")}
    return bool(names & {"all", name})


def _give_up(name: str, missing: str) -> NoReturn:
    reason = f"needs {missing}"
    if is_required(name):
        pytest.fail(f"{reason}, and PENSTOCK_TEST_REQUIRE asks for {name}", pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True)
class _Tool:
    find: Callable[[], str]


def _find_node() -> str:
    wanted = f"Node {MIN_NODE}+"
    path = shutil.which("node")
    if path is None:
        raise ToolMissingError(f"{wanted} (node not found)")
    version = _output_of(path, "--version")
    match = re.match(r"v(\d+)\.", version)
    if match is None or int(match[1]) < MIN_NODE:
        raise ToolMissingError(f"{wanted} ({path} is {version or 'not working'})")
    return path


def _find_npm() -> str:
    _find_node()
    path = shutil.which("npm")
    if path is None:
        raise ToolMissingError("npm (npm not found)")
    return path


def _find_chromium() -> str:
    named = os.environ.get("PENSTOCK_CHROMIUM")
    if named is not None:
        if not os.access(named, os.X_OK):
            raise ToolMissingError(f"Chromium (PENSTOCK_CHROMIUM is {named}, not an executable)")
        return named
    for path in CHROMIUM_PATHS:
        if os.access(path, os.X_OK):
            return path
    raise ToolMissingError(f"Chromium ({CHROMIUM_PATHS[0]} not found, PENSTOCK_CHROMIUM not set)")


def _find_libreoffice() -> str:
    for name in ("soffice", "libreoffice"):
        path = shutil.which(name)
        if path is not None:
            return path
    raise ToolMissingError("LibreOffice Calc (soffice not found)")


_TOOLS = {
    "node": _Tool(_find_node),
    "npm": _Tool(_find_npm),
    "libreoffice": _Tool(_find_libreoffice),
    "chromium": _Tool(_find_chromium),
}


def _output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _installed_packages(npm: str, folder: Path) -> Path:
    """Run `npm ci` unless the packages of this very lock file are there already."""
    modules = folder / "node_modules"
    stamp = modules / ".penstock-installed"
    lock_hash = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with _file_lock(folder / ".npm-ci.lock"):
        if not stamp.exists() or stamp.read_text() != lock_hash:
            _npm_ci(npm, folder)
            stamp.write_text(lock_hash)
    return modules


def _npm_ci(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_LIMIT.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolMissingError(f"the npm registry (npm ci took more than {NPM_LIMIT})") from None
    if done.returncode == 0:
        return
    unreachable = _NPM_UNREACHABLE.search(done.stderr)
    if unreachable:
        raise ToolMissingError(f"the npm registry (npm ci in {folder.name}: {unreachable[0]})")
    pytest.fail(f"npm ci in {folder} failed:\n{done.stdout}{done.stderr}", pytrace=False)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes, such as two test runs in one checkout."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
