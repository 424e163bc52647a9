"""Errors of the API: one shape, and a code for each kind."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from sqlalchemy.exc import OperationalError

from penstock.errors import (
    AlreadyExists,
    ConfigurationError,
    DeliveryError,
    EngineUnreachable,
    JournalError,
    MonitorError,
    NotFound,
    PenstockError,
    ProfileError,
    QueryRefused,
    WarehouseError,
)

__all__ = ["ERROR_CODES", "ApiError", "ErrorBody", "ErrorFields", "answer_error"]

log = logging.getLogger("penstock.api")

ERROR_CODES: dict[str, tuple[int, str]] = {
    "invalid_request": (400, "the path, a parameter or the body is not as documented; see detail"),
    "refused": (400, "the change breaks a rule, which the message names"),
    "sql_refused": (400, "the SQL is not one statement that only reads, or it failed"),
    "sql_timeout": (400, "the query ran longer than its limit"),
    "sql_too_large": (400, "the statement, or its result, is larger than may be"),
    "unauthenticated": (401, "no token or session, or one that has expired or was revoked"),
    "wrong_login": (401, "no user has this name and password"),
    "forbidden": (403, "the token or user lacks the scope that the message names"),
    "csrf": (403, "a session by cookie must send the header X-Penstock-Request with a write"),
    "not_found": (404, "there is no such path, or nothing of that name"),
    "method_not_allowed": (405, "the path has other methods; see the header Allow"),
    "not_acceptable": (406, "none of the formats in Accept can be had here"),
    "exists": (409, "there is one of that name already"),
    "sql_cancelled": (409, "somebody cancelled the query"),
    "too_large": (413, "the body is larger than 16 MB"),
    "sql_busy": (429, "as many queries run as may at once"),
    "too_many_requests": (429, "more than 100 requests in a second to the profiles of a space"),
    "too_many_logins": (429, "too many wrong passwords; come back after Retry-After seconds"),
    "too_many_tails": (429, "as many live tails are open as may be"),
    "internal": (500, "a fault of Penstock; its log says more"),
    "unavailable": (503, "the warehouse, journal, monitor or state store can't answer just now"),
}
"""Status and meaning by code."""

_BY_STATUS = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "exists",
    413: "too_large",
}
_TEXTS = {
    404: "no such path; /api/schema lists them",
    405: "this path has other methods",
    413: "the body is larger than 16 MB",
}


_UNAVAILABLE = (
    EngineUnreachable,
    WarehouseError,
    JournalError,
    MonitorError,
    DeliveryError,
    ProfileError,
)


class ErrorFields(msgspec.Struct):
    """What went wrong."""

    code: str
    """For programs; listed under Codes and answers in the documentation."""
    message: str
    """For people."""
    detail: Any = None
    """Facts, such as which field is wrong; depends on the code."""


class ErrorBody(msgspec.Struct):
    """The one shape of every error."""

    error: ErrorFields


class ApiError(Exception):
    """An answer that is an error, by its code."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        detail: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    """The answer to an error of any kind."""
    if isinstance(error, HTTPException):
        status, fields, headers = _of_framework(error)
    else:
        found = error if isinstance(error, ApiError) else _of_penstock(request, error)
        status = ERROR_CODES[found.code][0]
        fields, headers = ErrorFields(found.code, str(found), found.detail), found.headers
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": 'Bearer realm="penstock"', **headers}
    return Response(
        ErrorBody(fields),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def _of_framework(error: HTTPException) -> tuple[int, ErrorFields, dict[str, str]]:
    status = error.status_code
    code = _BY_STATUS.get(status, "internal" if status >= 500 else "invalid_request")
    if status not in _BY_STATUS:
        status = 500 if status >= 500 else 400
    message = _TEXTS.get(status) or _first_reason(error)
    return status, ErrorFields(code, message, error.extra or None), dict(error.headers or {})


def _first_reason(error: HTTPException) -> str:
    """Which field is wrong, and how."""
    if isinstance(error.extra, list) and error.extra and isinstance(error.extra[0], dict):
        first = error.extra[0]
        source = getattr(first.get("source"), "value", first.get("source"))
        place = " ".join(str(part) for part in (source, first.get("key")) if part)
        return f"{place}: {first.get('message')}" if place else str(first.get("message"))
    return error.detail


def _of_penstock(request: Request[Any, Any, Any], error: Exception) -> ApiError:
    if isinstance(error, QueryRefused):
        headers = {"Retry-After": "1"} if error.code == "sql_busy" else None
        return ApiError(error.code, str(error), headers=headers)
    if isinstance(error, NotFound):
        return ApiError("not_found", str(error))
    if isinstance(error, AlreadyExists):
        return ApiError("exists", str(error))
    if isinstance(error, ConfigurationError):
        return ApiError("refused", str(error))
    if isinstance(error, _UNAVAILABLE):
        return ApiError("unavailable", str(error), headers={"Retry-After": "2"})
    if isinstance(error, OperationalError):
        log.error("the state store: %s", error.orig)
        text = f"the state store: {error.orig}"
        return ApiError("unavailable", text, headers={"Retry-After": "2"})
    if not isinstance(error, PenstockError):
        log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return ApiError("internal", "a fault of Penstock; its log says more")
