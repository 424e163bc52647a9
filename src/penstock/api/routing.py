"""How a path is declared: its scope, its answers, and its place in the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import SecurityRequirement

from penstock.api.access import authorized
from penstock.api.errors import ERROR_CODES, ErrorBody

__all__ = ["Page", "answers", "public", "route"]

_SECURITY: list[SecurityRequirement] = [{"token": []}, {"session": []}]
_ALWAYS = (400, 401, 403, 500, 503)
_JSON = "application/json"


class Page(msgspec.Struct):
    """What every list with pages has beside its items."""

    next: str | None = None
    """Give it as ``before`` to get the next page; null on the last."""


def route(
    method: str,
    path: str,
    scope: str | None,
    *,
    tag: str,
    status: int = 200,
    errors: Sequence[int] = (),
    **options: Any,
) -> HTTPRouteHandler:
    """A path for those who have a scope; None: for everybody who is logged in."""
    opt = {"scope": scope}
    return _handler(
        method, path, (*_ALWAYS, *errors), tag, status,
        guards=[authorized], opt=opt, security=_SECURITY, **options,
    )  # fmt: skip


def public(
    method: str, path: str, *, tag: str, status: int = 200, errors: Sequence[int] = (),
    **options: Any,
) -> HTTPRouteHandler:  # fmt: skip
    """A path for everybody."""
    return _handler(method, path, (400, 500, 503, *errors), tag, status, **options)


def _handler(
    method: str, path: str, errors: Sequence[int], tag: str, status: int, **options: Any
) -> HTTPRouteHandler:
    options.setdefault("sync_to_thread", True)
    responses = {**answers(*errors), **options.pop("responses", {})}
    return HTTPRouteHandler(
        path,
        http_method=HttpMethod(method),
        status_code=status,
        tags=[tag],
        responses=responses,
        **options,
    )


def answers(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors that an answer may be, for the document."""
    return {
        status: ResponseSpec(ErrorBody, description=_codes(status), generate_examples=False)
        for status in sorted(set(statuses))
    }


def _codes(status: int) -> str:
    codes = [
        f"`{code}`: {text}" for code, (number, text) in ERROR_CODES.items() if number == status
    ]
    return "; ".join(codes)
