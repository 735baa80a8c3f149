"""The floor of the gateway: aiohttp on both sides, nothing parsed, every piece written on.

`python -m benchmarks.gateway_relay UPSTREAM` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web

_OWN = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


async def _serve(upstream: str) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=600)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as session:

        async def relay(request: web.BaseRequest) -> web.StreamResponse:
            headers = {k: v for k, v in request.headers.items() if k.lower() not in _OWN}
            url = upstream + request.path_qs.removeprefix("/v1")
            body = await request.read()
            async with session.request(request.method, url, data=body, headers=headers) as reply:
                kind = reply.headers.get("Content-Type", "")
                if not kind.startswith("text/event-stream"):
                    whole = await reply.read()
                    return web.Response(body=whole, headers={"Content-Type": kind})
                answer = web.StreamResponse(headers={"Content-Type": kind})
                await answer.prepare(request)
                async for piece in reply.content.iter_any():
                    await answer.write(piece)
                await answer.write_eof()
                return answer

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


def main() -> None:
    """Run it on the loop that the gateway runs on."""
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(_serve(sys.argv[1]))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
