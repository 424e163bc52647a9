"""Whatever a client sends: no fault of the server, and every answer as the document says."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from penstock.api.app import create_app
from penstock.api.services import Services
from penstock.settings import Settings
from tests.api.calling import Client

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_EXAMPLES = 40


_DOCUMENT = create_app(
    cast(Services, SimpleNamespace(settings=Settings(), now=lambda: 0.0, read_status=None))
).openapi_schema.to_schema()
schema = schemathesis.openapi.from_dict(_DOCUMENT).exclude(path=["/api/v1/tail", "/api/v1/login"])
"""Without a stream that has no end, and without what closes the door after ten tries."""


def test_the_document_is_the_one_that_is_served(admin: Client) -> None:
    assert admin("GET", "/api/schema").body == json.loads(json.dumps(_DOCUMENT))


@schema.parametrize()
@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: Any, admin: Client) -> None:
    if "token_id" in (case.path_parameters or {}):
        case.path_parameters["token_id"] = "0123456789abcdef"
    headers = {"Authorization": f"Bearer {admin.token}"}
    case.call_and_validate(base_url=admin.url, headers=headers, checks=_CHECKS)
