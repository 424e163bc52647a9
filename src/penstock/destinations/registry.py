"""Which tools there are: built in, installed beside Penstock, and written into the data folder.

A built-in tool is a package below ``catalog`` that has a ``DESTINATION``; it is imported when it
is asked for, and no other is. An installed one is an entry point of the group
``penstock.destinations``, named by its slug. A file ``destinations/<any name>.py`` in the data
folder is the third way. What can't be loaded is named, and stops none of the others.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from pathlib import Path
from types import ModuleType

from penstock.destinations import catalog
from penstock.destinations.contract import Destination
from penstock.errors import ConfigurationError, NotFound

__all__ = ["GROUP", "Problem", "built_in", "definition", "definitions", "problems"]

GROUP = "penstock.destinations"
"""The group of entry points that installed tools use."""
_NAME = "DESTINATION"
_Loader = Callable[[], Destination]


@dataclass(frozen=True)
class Problem:
    """A tool that can't be used."""

    where: str
    """A file, an entry point, or a package of Penstock."""
    message: str


def definition(slug: str, folder: Path | None = None) -> Destination:
    """The tool of that slug; ``folder`` holds the files that a user wrote.

    Raises NotFound, which names what is similar, and what can't be loaded.
    """
    found = _built_in(slug)
    if found is None:
        foreign, broken = _foreign(folder)
        found = foreign.get(slug)
        if found is None:
            raise NotFound(_unknown(slug, foreign, broken))
    return found


def definitions(folder: Path | None = None) -> Mapping[str, Destination]:
    """Every tool that can be loaded, by slug, sorted."""
    found, _ = _all(folder)
    return dict(sorted(found.items()))


def problems(folder: Path | None = None) -> list[Problem]:
    """What can't be loaded, and why."""
    return _all(folder)[1]


def built_in() -> list[str]:
    """Names of the packages below ``catalog``, sorted; not each is a tool. Imports none."""
    return sorted(each.name for each in pkgutil.iter_modules(catalog.__path__) if each.ispkg)


def _all(folder: Path | None) -> tuple[dict[str, Destination], list[Problem]]:
    found, broken = _foreign(folder)
    for name in built_in():
        try:
            tool = _of_package(name)
        except ConfigurationError as error:
            broken.append(Problem(f"{catalog.__name__}.{name}", str(error)))
            continue
        if tool is not None:
            found[tool.slug] = tool
    return found, broken


def _built_in(slug: str) -> Destination | None:
    name = slug.replace("-", "_")
    tool = _of_package(name) if name in built_in() else None
    return tool if tool is not None and tool.slug == slug else None


@cache
def _of_package(name: str) -> Destination | None:
    """None for a package that several tools share."""
    module = _imported(f"{catalog.__name__}.{name}")
    return _taken(module, module.__name__) if hasattr(module, _NAME) else None


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # code of somebody else may raise anything
        raise ConfigurationError(f"{name} can't be imported: {_told(error)}") from error


def _foreign(folder: Path | None) -> tuple[dict[str, Destination], list[Problem]]:
    found: dict[str, Destination] = {}
    broken: list[Problem] = []
    for where, load in chain(_installed(), _files(folder)):
        try:
            tool = load()
            _check_free(tool.slug, found)
        except ConfigurationError as error:
            broken.append(Problem(where, str(error)))
        else:
            found[tool.slug] = tool
    return found, broken


def _check_free(slug: str, found: Mapping[str, Destination]) -> None:
    if slug in found or slug.replace("-", "_") in built_in():
        raise ConfigurationError(f"there is a tool {slug} already; give this one another slug")


def _installed() -> Iterator[tuple[str, _Loader]]:
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        yield f"entry point {point.name} = {point.value}", partial(_installed_tool, point)


def _files(folder: Path | None) -> Iterator[tuple[str, _Loader]]:
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        if not path.name.startswith("_"):
            yield str(path), partial(_current_file_tool, path)


@cache
def _installed_tool(point: EntryPoint) -> Destination:
    try:
        loaded = point.load()
    except Exception as error:  # code of somebody else may raise anything
        raise ConfigurationError(f"it can't be loaded: {_told(error)}") from error
    if not isinstance(loaded, Destination):
        raise ConfigurationError(f"{point.value} is not a penstock Destination")
    return loaded


def _current_file_tool(path: Path) -> Destination:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    return _file_tool(path, changed)


@cache
def _file_tool(path: Path, changed: int) -> Destination:
    """``changed`` makes a file that was edited load again."""
    name = f"penstock_destination_{path.stem}_{changed}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
        return _taken(module, path.name)
    except ConfigurationError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:  # code of somebody else may raise anything
        del sys.modules[name]
        raise ConfigurationError(f"{path.name} can't be run: {_told(error)}") from error


def _taken(module: ModuleType, where: str) -> Destination:
    tool = getattr(module, _NAME, None)
    if not isinstance(tool, Destination):
        raise ConfigurationError(f"{where} has no {_NAME} = Destination(...)")
    return tool


def _told(error: BaseException) -> str:
    line = ""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        line = f" in line {error.lineno}"
    return f"{type(error).__name__}{line}: {error}"


def _unknown(slug: str, foreign: Mapping[str, Destination], broken: list[Problem]) -> str:
    known = [*foreign, *(name.replace("_", "-") for name in built_in())]
    close = difflib.get_close_matches(slug.replace("_", "-"), known, 1)
    text = f"there is no tool {slug!r}"
    text += f"; did you mean {close[0]}?" if close else "; see penstock destinations catalog"
    for each in broken:
        text += f" ({each.where}: {each.message})"
    return text
