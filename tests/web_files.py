"""A web server for files that are fetched: it has ETags and dates, redirects, and counts what it is asked."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

MODIFIED = "Sat, 03 Feb 2001 04:05:06 GMT"


class WebFiles:
    """Serves :attr:`files` by path on loopback. Use it in a ``with``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.sent: list[int] = []
        self.cut = False
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.requests.append((request.path, dict(request.headers.items())))
        content = self.files.get(path)
        if path in self.redirects:
            status, content, headers = 302, b"", {"Location": self.redirects[path]}
        elif content is None:
            status, content, headers = 404, b"nothing here", {}
        else:
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            status, headers = 200, {"ETag": etag, "Last-Modified": MODIFIED}
            if request.headers.get("If-None-Match") == etag:
                status, content = 304, b""
        self.sent.append(status)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 304:
            request.send_header("Content-Length", str(len(content) + self.cut))
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
