"""Resources of each section of the workspace file, read and written field by field."""

from __future__ import annotations

import difflib
import os
import re
from typing import Any, TypeVar

import msgspec

from penstock.destinations.model import (
    DestinationSetup,
    Filter,
    FunctionSetup,
    MappingSetup,
    Retrying,
)
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.warehouses.selective import SourceSync, WarehouseSetup
from penstock.workspace.rules import check_source
from penstock.workspace.sealing import MASK

__all__ = [
    "destination_fields",
    "document_fields",
    "function_fields",
    "placeholder",
    "read_audience",
    "read_destination",
    "read_function",
    "read_source",
    "read_space",
    "read_trait",
    "read_warehouse",
    "source_fields",
    "warehouse_fields",
]

_KINDS = {
    "bool": "true or false", "str": "text", "int": "a whole number", "float": "a number",
    "array": "a list", "object": "a mapping", "null": "nothing",
}  # fmt: skip
Fields = dict[str, Any]
T = TypeVar("T", bound=msgspec.Struct)


class _SourceFields(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    type: str = "server"
    space: str = "default"
    enabled: bool = True
    write_keys: list[str] = []
    rate_limit: int | None = None


class _DestinationFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: str
    name: str = ""
    enabled: bool = True
    sources: list[str] | None = None
    settings: dict[str, Any] = {}
    filters: list[Filter] = []
    mappings: list[MappingSetup] | None = None
    consent: list[str] = []
    delivery: Retrying = Retrying()
    functions: list[str] = []


class _FunctionFields(msgspec.Struct, forbid_unknown_fields=True):
    file: str = ""
    sources: list[str] = []
    settings: dict[str, Any] = {}
    enabled: bool = True
    timeout: float = 5.0
    memory: int = 128 * 1024 * 1024
    network: list[str] = []


class _WarehouseFields(msgspec.Struct, forbid_unknown_fields=True):
    sources: dict[str, SourceSync] = {}


def read_source(slug: str, fields: Fields) -> Source:
    """A source. Raises ConfigurationError."""
    try:
        read = msgspec.convert(_with_secrets(fields), _SourceFields)
    except msgspec.ValidationError as error:
        hint = "; write_keys is a list, such as [key-1]" if "write_keys" in str(error) else ""
        raise ConfigurationError(f"{_plain(error, _SourceFields, 'a source')}{hint}") from error
    source = Source(
        slug=slug,
        name=read.name or slug,
        type=read.type,
        enabled=read.enabled,
        write_keys=tuple(read.write_keys),
        space=read.space,
        rate_limit=read.rate_limit,
    )
    check_source(source)
    return source


def read_destination(slug: str, fields: Fields) -> DestinationSetup:
    """A destination, not yet checked against its tool. Raises ConfigurationError."""
    read = _converted(_with_settings(fields), _DestinationFields, "a destination")
    values = msgspec.structs.asdict(read)
    for name in ("filters", "consent", "functions"):
        values[name] = tuple(values[name])
    for name in ("sources", "mappings"):
        values[name] = None if values[name] is None else tuple(values[name])
    return DestinationSetup(slug=slug, **values)


def read_function(slug: str, fields: Fields) -> FunctionSetup:
    """A function, not yet checked. Raises ConfigurationError."""
    read = _converted(_with_settings(fields), _FunctionFields, "a function")
    values = msgspec.structs.asdict(read)
    values["file"] = values["file"] or f"{slug}.py"
    for name in ("sources", "network"):
        values[name] = tuple(values[name])
    return FunctionSetup(slug=slug, **values)


def read_warehouse(slug: str, fields: Fields) -> WarehouseSetup:
    """What a warehouse takes, not yet checked. Raises ConfigurationError."""
    return WarehouseSetup(slug, _converted(fields, _WarehouseFields, "a warehouse").sources)


def read_audience(slug: str, fields: Fields) -> AudienceSetup:
    """An audience, not yet checked against others. Raises ConfigurationError."""
    return _converted(_slugged(slug, fields), AudienceSetup, "an audience")


def read_trait(slug: str, fields: Fields) -> TraitSetup:
    """A computed trait, not yet checked against others. Raises ConfigurationError."""
    return _converted(_slugged(slug, fields), TraitSetup, "a trait")


def read_space(slug: str, fields: Fields) -> SpaceSetup:
    """A space, not yet checked. Raises ConfigurationError."""
    return _converted(_slugged(slug, fields), SpaceSetup, "a space")


def document_fields(setup: AudienceSetup | TraitSetup | SpaceSetup) -> Fields:
    """A definition as the file has it, what is as by default left out."""
    fields: Fields = msgspec.json.decode(msgspec.json.encode(setup))
    del fields["slug"]
    return fields


def _slugged(slug: str, fields: Fields) -> Fields:
    if not isinstance(fields, dict):
        raise ConfigurationError("fields are a mapping, such as `name: Loyal customers`")
    if "slug" in fields:
        raise ConfigurationError("unknown field 'slug'; the name above it is its slug")
    return {**fields, "slug": slug}


def source_fields(source: Source) -> Fields:
    """A source as the file has it."""
    fields: Fields = {"name": source.name, "type": source.type}
    if source.space != "default":
        fields["space"] = source.space
    if not source.enabled:
        fields["enabled"] = False
    if source.rate_limit is not None:
        fields["rate_limit"] = source.rate_limit
    fields["write_keys"] = list(source.write_keys)
    return fields


def destination_fields(setup: DestinationSetup) -> Fields:
    """A destination as the file has it, what is as by default left out."""
    return _written("destination", setup)


def function_fields(setup: FunctionSetup) -> Fields:
    """A function as the file has it, what is as by default left out."""
    return _written("function", setup)


def warehouse_fields(setup: WarehouseSetup) -> Fields:
    """What a warehouse takes, as the file has it."""
    return {"sources": msgspec.to_builtins(setup.sources)}


def placeholder(kind: str, slug: str, key: str) -> str:
    """Name of the environment variable that stands for a secret."""
    return re.sub(r"[^A-Z0-9]+", "_", f"{kind}_{slug}_{key}".upper())


def _written(kind: str, setup: DestinationSetup | FunctionSetup) -> Fields:
    fields: Fields = msgspec.json.decode(msgspec.json.encode(setup))
    del fields["slug"]
    if "settings" in fields:
        fields["settings"] = {
            key: {"env": placeholder(kind, setup.slug, key)} if value == MASK else value
            for key, value in fields["settings"].items()
        }
    return fields


def _converted(fields: Any, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_plain(error, kind, what)) from error


def _plain(error: msgspec.ValidationError, kind: type[msgspec.Struct], what: str) -> str:
    """A message of msgspec, for somebody who writes YAML."""
    text = str(error)
    place = re.search(r" - at `\$\.?(.*?)`$", text)
    path = place[1] if place else ""
    unknown = re.search(r"unknown field `(.+?)`", text)
    if unknown:
        return f"{path + ': ' if path else ''}unknown field {unknown[1]!r}; {_meant(error, kind)}"
    missing = re.search(r"missing required field `(.+?)`", text)
    if missing:
        return f"{path or what} needs {missing[1]}"
    wrong = re.search(r"Expected `(.+?)`, got `(.+?)`", text)
    if wrong is None:
        return text
    wanted, got = (" or ".join(_KINDS.get(k, k) for k in kinds.split(" | ")) for kinds in
                   (wrong[1], wrong[2]))  # fmt: skip
    return f"{path or what} must be {wanted}, not {got}"


def _meant(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """Which field was meant, among those of the struct that the error is about."""
    below = {
        "sources": SourceSync,
        "filters": Filter,
        "mappings": MappingSetup,
        "delivery": Retrying,
    }
    name = re.search(r" - at `\$\.(\w+)", str(error))
    about = below.get(name[1], kind) if name else kind
    fields = about.__struct_fields__
    unknown = re.search(r"unknown field `(.+?)`", str(error))
    meant = difflib.get_close_matches(unknown[1] if unknown else "", fields, 1)
    return f"did you mean {meant[0]}?" if meant else f"one of {', '.join(fields)}"


def _with_settings(fields: Any) -> Any:
    """The fields with secrets in ``settings`` alone: elsewhere ``env`` is a name like others."""
    if isinstance(fields, dict) and "settings" in fields:
        return {**fields, "settings": _with_secrets(fields["settings"])}
    return fields


def _with_secrets(value: Any) -> Any:
    """Values with each ``{env: NAME}`` replaced by the variable's value."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            secret = os.environ.get(str(value["env"]))
            if secret is None:
                raise ConfigurationError(f"set the environment variable {value['env']}")
            return secret
        return {key: _with_secrets(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_with_secrets(below) for below in value]
    return value
