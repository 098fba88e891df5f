# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A web server on this machine that misbehaves as it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What the server offers, how it behaves, and what it was asked.

    Args:
        address: Where it is.
        content: The one file, at every path.
        breaks: How many bytes of an answer it sends before it hangs up; the last is for all further ones.
        statuses: The HTTP statuses of the next answers, which are then errors.
        ignores_range: Whether it sends the whole file, whatever part it is asked for.
        shift: How far from the byte it is asked for it begins.
        asked: The ``Range`` of each request.
    """

    address: str = ""
    content: bytes = b""
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ignores_range: bool = False
    shift: int = 0
    asked: list[str | None] = field(default_factory=list)


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Answer(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            found = None if site.ignores_range else re.fullmatch(r"bytes=(\d+)-", wanted or "")
            start = int(found[1]) + site.shift if found else 0
            if found and start >= len(site.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if found else 200)
            if found:
                last = len(site.content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
            self.send_header("Content-Length", str(len(site.content) - start))
            self.end_headers()
            end = len(site.content)
            if site.breaks:
                end = start + (site.breaks.pop(0) if len(site.breaks) > 1 else site.breaks[0])
            self.wfile.write(site.content[start:end])

    return Answer


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(site)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
