"""The OpenAPI document as a page: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

__all__ = ["DocumentPage", "render"]

_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:.5rem;
background:#8882;border-radius:4px}
summary{cursor:pointer;padding:.2rem 0}td,th{text-align:left;padding:.1rem 1rem .1rem 0;
vertical-align:top}
b.m{display:inline-block;width:4.5rem;font-family:ui-monospace,monospace}
details details{margin-left:1rem}
"""


class DocumentPage(OpenAPIRenderPlugin):
    """Serves the page below the document."""

    def __init__(self) -> None:
        super().__init__(path="/docs")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        del request
        return render(openapi_schema).encode()


def render(document: dict[str, Any]) -> str:
    """The page of a document."""
    info = document["info"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(path, method, operation))
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in by_tag.items()
    )
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_code(schema)}</details>"
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}'
        f"</title><style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}"
        f"</h1><p>{escape(info.get('description', ''))}</p>"
        f'<p><a href="/api/schema">The OpenAPI document</a></p>{sections}'
        f"<h2>Schemas</h2>{schemas}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{escape(each.get('description', ''))}"
        for each in operation.get("parameters") or ()
    )
    body = operation.get("requestBody") or {}
    content = body.get("content", {}).get("application/json", {})
    sent = f"<p>Body:</p>{_code(content['schema'])}" if "schema" in content else ""
    answers = "".join(
        f"<tr><td>{escape(status)}<td>{_reference(answer)}<td>"
        f"{escape(answer.get('description') or '')}"
        for status, answer in sorted((operation.get("responses") or {}).items())
    )
    return (
        f'<details><summary><b class="m">{method.upper()}</b> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary') or '')}</summary>"
        f"<p>{escape(operation.get('description') or '')}</p>"
        f"<table>{parameters}</table>{sent}<table>{answers}</table></details>"
    )


def _reference(answer: dict[str, Any]) -> str:
    """A link to the schema of an answer."""
    for content in (answer.get("content") or {}).values():
        name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
        if name:
            return f'<a href="#{escape(name)}">{escape(name)}</a>'
    return ""


def _code(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1))}</pre>"
