"""The Profile API as a whole: its pace, its errors, and what every answer carries."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from litestar import Request, Response, Router
from litestar.exceptions import HTTPException

from penstock.api.errors import ApiError, answer_error
from penstock.api.profile_bodies import A_SECOND, Pace, ProfileErrorBody, ProfileErrorFields
from penstock.api.routes.profile_api import HANDLERS

__all__ = ["BASE", "profile_router"]

BASE = "/v1/spaces/{space:str}/collections"
_CODES = {
    "unauthenticated": "authentication_error",
    "forbidden": "authentication_error",
    "not_found": "not_found",
    "too_many_requests": "rate_limit_error",
    "refused": "validation_error",
    "invalid_request": "invalid_request_error",
}


def profile_router(now: Callable[[], float]) -> Router:
    """All paths of the Profile API."""
    pace = Pace(now)

    async def before(request: Request[Any, Any, Any]) -> None:
        if not pace.take(str(request.path_params.get("space", ""))):
            raise ApiError("too_many_requests", f"at most {A_SECOND} requests a second",
                           headers={"Retry-After": "1"})  # fmt: skip
        known = set(request.scope["route_handler"].parsed_fn_signature.parameters)
        for name in request.query_params:
            if ("trait_class" if name == "class" else name) not in known - {"request", "services"}:
                raise ApiError("invalid_request", f"query {name}: there is no such parameter")

    return Router(
        BASE,
        route_handlers=HANDLERS,
        before_request=before,
        after_request=_with_id,
        exception_handlers={Exception: _answer_error},
    )


def _with_id(answer: Response[Any]) -> Response[Any]:
    answer.headers.setdefault("Request-Id", secrets.token_hex(16))
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    return answer


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[ProfileErrorBody]:
    """The management API's answer, in the other shape and with the other codes."""
    found = answer_error(request, error)
    fields, status = found.content.error, found.status_code or 500
    code = _CODES.get(fields.code, "internal_error" if status >= 500 else fields.code)
    if isinstance(error, HTTPException) and status == 400:
        code = "validation_error"
    headers = {**found.headers}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="penstock"'
    body = ProfileErrorBody(ProfileErrorFields(code, fields.message))
    answer = Response(body, status_code=status, headers=headers,
                      media_type="application/json")  # fmt: skip
    return _with_id(answer)
