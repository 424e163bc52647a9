"""The workspace file: the same resources as text, for ``penstock apply`` and ``export``."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.workspace.rules import check_source
from penstock.workspace.store import new_write_key

__all__ = ["Change", "dump", "load", "plan"]

SECTIONS = (
    "sources", "destinations", "functions", "warehouses", "tracking_plans", "traits",
    "audiences", "journeys", "subscriptions", "models", "syncs", "alerts",
)  # fmt: skip


_KINDS = {
    "bool": "true or false", "str": "text", "int": "a whole number", "float": "a number",
    "array": "a list", "object": "a mapping", "null": "nothing",
}  # fmt: skip


class _SourceFields(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    type: str = "server"
    space: str = "default"
    enabled: bool = True
    write_keys: list[str] = []
    rate_limit: int | None = None


@dataclass(frozen=True)
class Change:
    """One difference between the file and the workspace."""

    action: str
    """create, update or keep."""
    kind: str
    slug: str
    detail: str = ""

    def __str__(self) -> str:
        mark = {"create": "+", "update": "~", "keep": "="}[self.action]
        return f"{mark} {self.kind}.{self.slug} {self.detail}".rstrip()


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


def load(file: Path) -> list[Source]:
    """The sources that a workspace file describes.

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
        if section != "sources" and content[section]:
            raise ConfigurationError(f"{file}: section {section!r} is not supported yet")
    sources = content.get("sources") or {}
    if not isinstance(sources, dict):
        raise ConfigurationError(f"{file}: `sources` must map slugs to fields")
    return [_source(file, slug, fields) for slug, fields in sources.items()]


def _source(file: Path, slug: Any, fields: Any) -> Source:
    place = f"{file}: sources.{slug}"
    if not isinstance(slug, str):
        raise ConfigurationError(f"{place}: a slug is text")
    try:
        read = msgspec.convert(_with_secrets(place, fields or {}), _SourceFields)
    except msgspec.ValidationError as error:
        hint = "; write_keys is a list, such as [key-1]" if "write_keys" in str(error) else ""
        raise ConfigurationError(f"{place}: {_plain(error)}{hint}") from error
    source = Source(
        slug=slug,
        name=read.name or slug,
        type=read.type,
        enabled=read.enabled,
        write_keys=tuple(read.write_keys),
        space=read.space,
        rate_limit=read.rate_limit,
    )
    try:
        check_source(source)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from error
    return source


def _plain(error: msgspec.ValidationError) -> str:
    """A message of msgspec, for somebody who writes YAML."""
    text = str(error)
    unknown = re.search(r"unknown field `(.+?)`", text)
    if unknown:
        fields = _SourceFields.__struct_fields__
        meant = difflib.get_close_matches(unknown[1], fields, 1)
        hint = f"did you mean {meant[0]}?" if meant else f"one of {', '.join(fields)}"
        return f"unknown field {unknown[1]!r}; {hint}"
    wrong = re.search(r"Expected `(.+?)`, got `(.+?)`(?: - at `\$\.?(.*?)`)?", text)
    if wrong is None:
        return text
    wanted, got = (" or ".join(_KINDS.get(k, k) for k in kinds.split(" | ")) for kinds in
                   (wrong[1], wrong[2]))  # fmt: skip
    return f"{wrong[3] or 'a source'} must be {wanted}, not {got}"


def _with_secrets(place: str, value: Any) -> Any:
    """Values with each ``{env: NAME}`` replaced by the variable's value."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            secret = os.environ.get(str(value["env"]))
            if secret is None:
                raise ConfigurationError(f"{place}: set the environment variable {value['env']}")
            return secret
        return {key: _with_secrets(place, below) for key, below in value.items()}
    if isinstance(value, list):
        return [_with_secrets(place, below) for below in value]
    return value


def plan(current: list[Source], wanted: list[Source]) -> tuple[list[Change], list[Source]]:
    """What applying would do, and the sources to store. Sources not in the file stay.

    A source without write keys keeps those it has, or gets a new one.
    """
    known = {source.slug: source for source in current}
    changes, result = [], []
    for source in wanted:
        before = known.get(source.slug)
        keys = source.write_keys or (before.write_keys if before else (new_write_key(),))
        after = msgspec.structs.replace(source, write_keys=tuple(keys))
        if before is None:
            changes.append(Change("create", "sources", source.slug))
        elif before != after:
            fields = [
                name
                for name in Source.__struct_fields__
                if getattr(before, name) != getattr(after, name)
            ]
            changes.append(Change("update", "sources", source.slug, ", ".join(fields)))
        else:
            changes.append(Change("keep", "sources", source.slug))
            continue
        result.append(after)
    return changes, result


def dump(sources: list[Source]) -> str:
    """The workspace as text that ``load`` reads back."""
    body: dict[str, Any] = {}
    for source in sources:
        fields: dict[str, Any] = {"name": source.name, "type": source.type}
        if source.space != "default":
            fields["space"] = source.space
        if not source.enabled:
            fields["enabled"] = False
        if source.rate_limit is not None:
            fields["rate_limit"] = source.rate_limit
        fields["write_keys"] = list(source.write_keys)
        body[source.slug] = fields
    return yaml.safe_dump({"sources": body}, sort_keys=False, allow_unicode=True)
