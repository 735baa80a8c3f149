"""A server in front of another that lets through only some of its paths, as older servers have."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any


@asynccontextmanager
async def only(
    origin: str,
    *paths: str,
    seen: list[str] | None = None,
    answers: Mapping[str, Callable[[Any], Any]] | None = None,
) -> AsyncIterator[str]:
    """Serve these paths of `origin`, and 404 for all others; give the address.

    Args:
        origin: scheme, host and port of the server behind.
        paths: what is let through, word for word.
        seen: gets the path of every request.
        answers: by path, what answers in place of the server behind, given the parsed body.
    """

    async def relay(request: web.Request) -> web.StreamResponse:
        if seen is not None:
            seen.append(request.path)
        if answers and request.path in answers:
            body = await request.json() if request.can_read_body else None
            return web.json_response(answers[request.path](body))
        if request.path not in paths:
            return web.json_response({"error": {"message": "not found"}}, status=404)
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type")
            if name in request.headers
        }
        data = await request.read() or None
        async with session.request(
            request.method, origin + request.path, data=data, headers=headers
        ) as reply:
            answer = web.StreamResponse(
                status=reply.status, headers={"Content-Type": reply.headers["Content-Type"]}
            )
            await answer.prepare(request)
            async for piece in reply.content.iter_any():
                await answer.write(piece)
            await answer.write_eof()
            return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", relay)
    async with aiohttp.ClientSession() as session, TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
