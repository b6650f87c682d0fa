"""Every answer has the headers that protect a page, whoever gives it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from goldsmith.view.guard import POLICY, Guarded, Id

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
app = FastAPI()


@app.get("/page")
def page() -> HTMLResponse:
    """A page with a policy of its own."""
    return HTMLResponse("x", headers={POLICY: "default-src 'self'"})


@app.get("/item/{name}")
def item(name: str) -> dict[str, str]:
    """An answer that is no page, a refusal, or an error that nobody expects."""
    if name == "refused":
        raise HTTPException(503, "busy")
    if name == "broken":
        raise ValueError("broken")
    return {"name": name}


@app.post("/items")
def items(names: list[Id]) -> int:
    """How many names there are."""
    return len(names)


def asked(path: str, **how: object) -> httpx.Response:
    """The answer to a request."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Guarded(app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request("POST" if how else "GET", path, **how)  # type: ignore[arg-type]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/page", 200, "default-src 'self'"),
        ("/item/a", 200, ""),
        ("/item/refused", 503, ""),
        ("/item/broken", 500, ""),
        ("/nothing", 404, ""),
        ("/item/a%00b", 404, ""),
    ],
)
def test_pages_refusals_and_errors_have_the_headers(path: str, status: int, policy: str) -> None:
    """A page keeps its own policy."""
    answer = asked(path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert answer.headers[POLICY] == (policy or "default-src 'none'; frame-ancestors 'self'")


def test_a_name_with_nul_is_refused_in_a_body() -> None:
    """The database would not take it."""
    assert asked("/items", json=["a", "b"]).json() == 2
    assert asked("/items", json=["a", "b\x00"]).status_code == 422
