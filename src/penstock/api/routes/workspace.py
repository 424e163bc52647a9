"""The workspace as a whole, for `penstock apply` and `penstock export`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.params import JSONBody
from msgspec import Meta

from penstock.api.access import Call, caller_of
from penstock.api.routes.sources import NewSource, SourceBody, as_body, as_source
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.workspace.file import Change, plan
from penstock.workspace.rules import check_keys

__all__ = ["HANDLERS"]

_TAG = "workspace"


class WorkspaceBody(msgspec.Struct):
    """Everything that is configured."""

    sources: list[SourceBody]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be; resources that are not named stay."""

    sources: Annotated[list[NewSource], Meta(max_length=1000)]
    dry_run: bool = False
    """Only plan."""


class ChangeBody(msgspec.Struct):
    """One difference between what is wanted and what is."""

    action: str
    """create, update or keep."""
    kind: str
    slug: str
    detail: str


class Applied(msgspec.Struct):
    """What was, or would be, changed."""

    changes: list[ChangeBody]
    sources: list[SourceBody]
    """Those created or updated, as they are then."""


@route("GET", "/workspace", "sources:write", tag=_TAG)
def export_workspace(request: Call, services: Given) -> WorkspaceBody:
    """Get all that is configured, write keys included."""
    caller = caller_of(request)
    return WorkspaceBody([as_body(source, caller) for source in services.workspace.sources()])


@route("POST", "/workspace/apply", "sources:write", tag=_TAG)
def apply_workspace(request: Call, services: Given, data: JSONBody[Wanted]) -> Applied:
    """Make the workspace what the body says, all of it or, when a rule is broken, nothing."""
    wanted = [_checked(each) for each in data.sources]
    _check_named_once(wanted)
    caller = caller_of(request)
    changes: list[Change] = []

    def planned(current: list[Source]) -> list[Source]:
        made, after = plan(current, wanted)
        check_keys(current, after)
        changes.extend(made)
        return after

    if data.dry_run:
        stored = planned(services.workspace.sources())
    else:
        stored = services.workspace.change_sources(planned, caller.actor)
    return Applied(
        [ChangeBody(each.action, each.kind, each.slug, each.detail) for each in changes],
        [as_body(source, caller) for source in stored],
    )


def _checked(wanted: NewSource) -> Source:
    try:
        return as_source(wanted.slug, wanted)
    except ConfigurationError as error:
        raise ConfigurationError(f"sources.{wanted.slug}: {error}") from error


def _check_named_once(wanted: list[Source]) -> None:
    seen: set[str] = set()
    for source in wanted:
        if source.slug in seen:
            raise ConfigurationError(f"sources.{source.slug} stands twice")
        seen.add(source.slug)


HANDLERS = [export_workspace, apply_workspace]
