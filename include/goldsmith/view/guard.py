"""What holds for every answer of Goldsmith's routes, pages and refusals alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any

from pydantic import Field
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.status import HTTP_404_NOT_FOUND

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

Id = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""An id, or another short text, in the body of a request: PostgreSQL has no text with NUL."""
POLICY = "Content-Security-Policy"
_ALWAYS = {
    POLICY: "default-src 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # rows of the warehouse are nothing for a cache
}


class Guarded:
    """An application whose answers all have the headers that protect a page, its errors too.

    Args:
        application: It may set stricter or wider values itself.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; an address with NUL leads nowhere, and no database is asked for it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        if "\x00" in scope.get("path", ""):
            nowhere = JSONResponse({"detail": "Not Found"}, HTTP_404_NOT_FOUND)
            await nowhere(scope, receive, send_with_headers)
        else:
            await self._application(scope, receive, send_with_headers)
