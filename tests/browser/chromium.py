"""Headless Chromium with the unmodified browser SDK in a page of another origin."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.requirements import require_npm_packages, require_tool

FOLDER = Path(__file__).parent / "page"
BUNDLE_LIMIT_SECONDS = 180

Step = list[Any]


@dataclass(frozen=True)
class Request:
    """One request that Chromium made, `type` being what DevTools calls it (Fetch, Preflight)."""

    type: str
    method: str
    url: str
    body: str | None
    status: int | None
    failure: str | None

    @property
    def host(self) -> str:
        """The host and port it went to."""
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        """The path it went to."""
        return urlsplit(self.url).path

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in its body."""
        if self.body is None:
            return []
        content = json.loads(self.body)
        return list(content.get("batch", [content]))


@dataclass(frozen=True)
class Visit:
    """What happened in the browser: who the SDK says it was, and every request made."""

    anonymous_id: str | None
    user_agent: str | None
    requests: list[Request]
    errors: list[str]

    @property
    def posts(self) -> list[Request]:
        """The requests that carry events."""
        return [request for request in self.requests if request.method == "POST"]


class Shop:
    """A web site on its own origin, `http://localhost:PORT`, with the SDK in each page."""

    def __init__(self, bundle: bytes) -> None:
        index = (FOLDER / "index.html").read_bytes()

        class Handler(http.server.BaseHTTPRequestHandler):
            """Gives the bundle, and the shop's page under every path except `/elsewhere`."""

            def do_GET(self) -> None:
                body, kind = index, "text/html; charset=utf-8"
                if self.path == "/bundle.js":
                    body, kind = bundle, "text/javascript; charset=utf-8"
                elif self.path == "/elsewhere":
                    body = b"<!doctype html><link rel=icon href='data:,'><p>No analytics here."
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"localhost:{self._server.server_port}"

    def url(self, path: str) -> str:
        """The address of one of its pages."""
        return f"http://{self.host}{path}"

    def __enter__(self) -> Shop:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def bundled_sdk(out: Path) -> bytes:
    """Bundle the npm package into one script, as a site's own build does."""
    node = require_tool("node")
    modules = require_npm_packages(FOLDER)
    subprocess.run(
        [
            node,
            str(modules / "esbuild" / "bin" / "esbuild"),
            "main.js",
            "--bundle",
            "--log-level=warning",
            "--define:process.env.NODE_ENV='production'",
            f"--outfile={out}",
        ],
        cwd=FOLDER,
        check=True,
        timeout=BUNDLE_LIMIT_SECONDS,
    )
    return out.read_bytes()


@contextmanager
def visit(
    collector: str, write_key: str, options: dict[str, Any], steps: list[Step]
) -> Iterator[Visit]:
    """Do the steps of page/drive.mjs in a new browser, which stays open until the block ends."""
    order = {
        "chromium": require_tool("chromium"),
        "collector": collector,
        "writeKey": write_key,
        "options": options,
        "steps": steps,
    }
    driver = subprocess.Popen(
        [require_tool("node"), "drive.mjs"],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(json.dumps(order) + "\n")
        driver.stdin.flush()
        line = driver.stdout.readline()
        if not line:
            _, said = driver.communicate()
            raise AssertionError(f"the browser driver failed:\n{said}")
        yield _visit_of(json.loads(line))
        driver.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()


def _visit_of(report: dict[str, Any]) -> Visit:
    return Visit(
        anonymous_id=report["anonymousId"],
        user_agent=report["userAgent"],
        requests=[Request(**request) for request in report["requests"]],
        errors=report["errors"],
    )
