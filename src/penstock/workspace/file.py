"""The workspace file: the same resources as text, for ``penstock apply`` and ``export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from penstock.errors import ConfigurationError
from penstock.workspace.planning import Contents
from penstock.workspace.sealing import MASK
from penstock.workspace.sections import (
    destination_fields,
    document_fields,
    function_fields,
    placeholder,
    read_audience,
    read_destination,
    read_function,
    read_source,
    read_space,
    read_trait,
    read_warehouse,
    source_fields,
    warehouse_fields,
)

__all__ = ["SECTIONS", "dump", "load"]

SECTIONS = (
    "sources", "destinations", "functions", "warehouses", "tracking_plans", "spaces", "traits",
    "audiences", "journeys", "subscriptions", "models", "syncs", "alerts",
)  # fmt: skip
_READ = (
    "sources", "destinations", "functions", "warehouses", "spaces", "traits", "audiences",
)  # fmt: skip
T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; raises yaml.YAMLError for a repeated key."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(file: Path) -> Contents:
    """The resources that a workspace file describes.

    Raises ConfigurationError with the place in the file and what to write instead.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigurationError(f"can't read {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid YAML: {error}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: expected sections such as `sources:` at the top")
    for section in content:
        if section not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise ConfigurationError(f"{file}: unknown section {section!r}; one of {known}")
        if section not in _READ and content[section]:
            raise ConfigurationError(f"{file}: section {section!r} is not supported yet")
    return Contents(
        sources=_section(file, content, "sources", read_source),
        destinations=_section(file, content, "destinations", read_destination),
        functions=_section(file, content, "functions", read_function),
        warehouses=_section(file, content, "warehouses", read_warehouse),
        spaces=_section(file, content, "spaces", read_space),
        traits=_section(file, content, "traits", read_trait),
        audiences=_section(file, content, "audiences", read_audience),
    )


def _section(
    file: Path, content: dict[str, Any], section: str, read: Callable[[str, dict[str, Any]], T]
) -> tuple[T, ...]:
    """The resources of a section; errors name the file, the section and the slug."""
    entries = content.get(section) or {}
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{file}: `{section}` must map slugs to fields")
    found = []
    for slug, fields in entries.items():
        try:
            if not isinstance(slug, str):
                raise ConfigurationError("a slug is text")
            found.append(read(slug, fields or {}))
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: {section}.{slug}: {error}") from error
    return tuple(found)


def dump(contents: Contents) -> str:
    """The workspace as text that ``load`` reads back; secrets are masked in ``contents``.

    Each is written as ``{env: NAME}``, and the names stand at the top.
    """
    body: dict[str, Any] = {"sources": {s.slug: source_fields(s) for s in contents.sources}}
    if contents.destinations:
        body["destinations"] = {d.slug: destination_fields(d) for d in contents.destinations}
    if contents.functions:
        body["functions"] = {f.slug: function_fields(f) for f in contents.functions}
    if contents.warehouses:
        body["warehouses"] = {w.slug: warehouse_fields(w) for w in contents.warehouses}
    for section, every in (
        ("spaces", contents.spaces), ("traits", contents.traits), ("audiences", contents.audiences),
    ):  # fmt: skip
        if every:
            body[section] = {one.slug: document_fields(one) for one in every}
    names = [
        placeholder(kind, each.slug, key)
        for kind, resources in (
            ("destination", contents.destinations), ("function", contents.functions),
        )
        for each in resources
        for key, value in each.settings.items()
        if value == MASK
    ]  # fmt: skip
    head = ""
    if names:
        head = "# Secrets are not exported. Before `penstock apply`, set these variables:\n"
        head += "".join(f"#   {name}\n" for name in names)
    return head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)
