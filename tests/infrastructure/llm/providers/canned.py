"""A server on the loopback that gives prepared answers, for paths that the fake upstream lacks."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Canned:
    """One answer; bodies that are not bytes are sent as JSON."""

    body: Any
    status: int = 200
    content_type: str = "application/json"


class CannedServer:
    """Gives queued answers in order; the last one again and again; records what came."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self._answers: deque[Canned] = deque()
        self._runner: web.AppRunner | None = None

    def answer(self, *bodies: Any) -> None:
        self._answers = deque(b if isinstance(b, Canned) else Canned(b) for b in bodies)

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, headers, await request.read()))
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)
