"""The API as one ASGI application."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import SerializationException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from penstock import __version__
from penstock.api.access import COOKIE
from penstock.api.board import StatusBoard
from penstock.api.errors import ApiError, answer_error
from penstock.api.figures import show_metrics
from penstock.api.logins import LoginLimiter
from penstock.api.pages import DocumentPage
from penstock.api.profile_router import profile_router
from penstock.api.routes import (
    accounts,
    audiences,
    deliveries,
    destinations,
    events,
    monitoring,
    session,
    sources,
    sql,
    status,
)
from penstock.api.routes import workspace as whole
from penstock.api.services import Services

__all__ = ["BASE", "create_app", "permissions"]

BASE = "/api/v1"
_LARGEST_BODY = 16 * 1024 * 1024
_ROOMS = (
    session,
    sources,
    destinations,
    deliveries,
    audiences,
    whole,
    sql,
    status,
    monitoring,
    events,
    accounts,
)
_DESCRIPTION = (
    "Management API of Penstock. Send a token as `Authorization: Bearer …`, or log in. Every "
    'error has the shape `{"error": {"code", "message", "detail"}}`.'
)


def create_app(services: Services) -> Litestar:
    """The API under ``/api``, ready to be served or mounted; it opens and closes nothing."""
    limiter = LoginLimiter(services.now)
    board = StatusBoard(services.read_status)
    handlers: list[ControllerRouterHandler] = [
        handler for room in _ROOMS for handler in room.HANDLERS
    ]
    return Litestar(
        route_handlers=[
            Router(BASE, route_handlers=handlers),
            profile_router(services.now),
            show_metrics,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "logins": Provide(lambda: limiter, sync_to_thread=False),
            "board": Provide(lambda: board, sync_to_thread=False),
        },
        state=State({"services": services, "tails": events.Tails()}),
        exception_handlers={Exception: answer_error},
        before_request=_check_parameters,
        after_request=_keep_private,
        request_max_body_size=_LARGEST_BODY,
        openapi_config=_document(),
        debug=False,
        pdb_on_exception=False,
        logging_config=None,  # its own would replace ours, for the whole process
    )


def permissions(app: Litestar) -> list[tuple[str, str, str | None]]:
    """(method, path, scope) of everything that needs somebody who is logged in."""
    found = []
    for each in app.routes:
        for handler in getattr(each, "route_handlers", ()):
            if "scope" in handler.opt:
                for method in handler.http_methods - {"OPTIONS"}:
                    found.append((str(method), each.path, handler.opt["scope"]))
    return sorted(found)


def _document() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Penstock management API",
        version=__version__,
        description=_DESCRIPTION,
        use_handler_docstrings=True,
        path="/api/schema",
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), DocumentPage()],
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer"),
                "name": SecurityScheme(type="http", scheme="basic"),
                "session": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie"),
            }
        ),
    )


def _keep_private(answer: Response[Any]) -> Response[Any]:
    """No answer belongs into a cache, and none is to be taken for what it does not say it is."""
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    return answer


async def _check_parameters(request: Request[Any, Any, Any]) -> None:
    """A parameter that is misspelt must not be ignored in silence."""
    if "path" in request.path_params:  # below the document, where the framework answers HTML
        raise ApiError("not_found", "no such path; /api/schema lists them")
    handler = request.scope["route_handler"]
    known = set(handler.parsed_fn_signature.parameters)
    for name in request.query_params:
        if name not in known - {"request", "services", "logins", "data"}:
            raise ApiError("invalid_request", f"query {name}: there is no such parameter")
    if "data" in known:
        try:
            await request.json()
        except (SerializationException, RecursionError, UnicodeError) as error:
            raise ApiError("invalid_request", f"the body is not JSON: {error}") from error
