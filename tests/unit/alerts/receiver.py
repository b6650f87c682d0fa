"""A web service on loopback that keeps what it is sent."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What was sent."""

    path: str
    headers: dict[str, str]
    body: Any
    """Of JSON; else the text."""


@dataclass
class Receiver:
    """Answers each request with the next of `answers`, then with 200, `reply` and after `delay` seconds.

    Requests whose path begins with `echoes` are refused, and the reply is what was asked: path, headers and body.
    """

    answers: list[int] = field(default_factory=list)
    reply: str = "ok"
    delay: float = 0.0
    echoes: str = ""
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                try:
                    body = json.loads(text)
                except ValueError:
                    body = text
                receiver.requests.append(Request(self.path, dict(self.headers), body))
                time.sleep(receiver.delay)
                asked = json.dumps({"path": self.path, "headers": dict(self.headers), "body": body})
                is_echo = bool(receiver.echoes) and self.path.startswith(receiver.echoes)
                reply = (asked if is_echo else receiver.reply).encode()
                status = receiver.answers.pop(0) if receiver.answers and not is_echo else 200
                self.send_response(403 if is_echo else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                    self.wfile.write(reply)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"
