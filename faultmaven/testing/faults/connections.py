"""Connections that break, answers that come twice, and redirects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from faultmaven.testing import http1
from faultmaven.testing.faults.registry import fault

if TYPE_CHECKING:
    from faultmaven.testing.exchange import Exchange


@fault("ok")
async def ok(x: Exchange) -> None:
    """Answer well."""
    await x.ok()


@fault("reset-before-headers")
async def reset_before_headers(x: Exchange) -> None:
    """Reset the connection after the request, before the first byte of the answer."""
    await x.reset()


@fault("close-before-headers")
async def close_before_headers(x: Exchange) -> None:
    """Close the connection after the request, before the first byte of the answer."""
    x.close()


@fault("reset-mid-headers")
async def reset_mid_headers(x: Exchange) -> None:
    """Reset the connection inside the headers."""
    await x.send(http1.head(200, x.headers())[:40])
    await x.reset()


@fault("close-mid-headers")
async def close_mid_headers(x: Exchange) -> None:
    """Close the connection inside the headers."""
    await x.send(http1.head(200, x.headers())[:40])
    x.close()


async def _half_body(x: Exchange) -> None:
    body = b"".join(x.parts())
    await x.send_head(200, [*x.headers(), ("Content-Length", str(len(body)))])
    await x.send(body[: len(body) // 2])


@fault("reset-mid-body")
async def reset_mid_body(x: Exchange) -> None:
    """Send half of the announced body, then reset."""
    await _half_body(x)
    await x.reset()


@fault("close-mid-body")
async def close_mid_body(x: Exchange) -> None:
    """Send half of the announced body, then close."""
    await _half_body(x)
    x.close()


@fault("reset-mid-stream:N")
async def reset_mid_stream(x: Exchange) -> None:
    """Reset after N events; a plain answer breaks in its body."""
    if not x.is_stream:
        await _half_body(x)
    else:
        await x.start_events(x.number(0, 5))
    await x.reset()


@fault("close-mid-stream:N")
async def close_mid_stream(x: Exchange) -> None:
    """Close after N events without the last chunk; a plain answer breaks in its body."""
    if not x.is_stream:
        await _half_body(x)
    else:
        await x.start_events(x.number(0, 5))
    x.close()


@fault("reset-mid-event:N")
async def reset_mid_event(x: Exchange) -> None:
    """Reset in the middle of the event after the first N."""
    rest = await x.start_events(x.number(0, 3))
    if rest:
        await x.write(rest[0][: len(rest[0]) // 2])
    await x.reset()


@fault("ok-then-close:MS")
async def ok_then_close(x: Exchange) -> None:
    """Answer well as if the connection were kept, then close it after MS milliseconds."""
    await x.ok()
    await asyncio.sleep(x.seconds(0, 0))
    x.close()


@fault("ok-then-reset:MS")
async def ok_then_reset(x: Exchange) -> None:
    """Answer well as if the connection were kept, then reset it after MS milliseconds."""
    await x.ok()
    await asyncio.sleep(x.seconds(0, 0))
    await x.reset()


@fault("poison")
async def poison(x: Exchange) -> None:
    """Answer well, then send a second answer, text "POISONED", that nobody asked for."""
    await x.ok()
    await asyncio.sleep(0.001)
    x.say(["POISONED"])
    await x.ok()


@fault("http10")
async def http10(x: Exchange) -> None:
    """Answer in HTTP/1.0 without a length; the close ends the body."""
    await x.send(http1.head(200, x.headers(), version="1.0"))
    for part in x.parts():
        await x.send(part)
    x.close()


@fault("early-hints")
async def early_hints(x: Exchange) -> None:
    """Send 102 and 103 interim answers before the good one."""
    await x.send_head(102, [])
    await x.send_head(103, [("Link", "</style.css>; rel=preload; as=style")])
    await x.ok()


@fault("redirect:CODE")
async def redirect(x: Exchange) -> None:
    """Redirect to another origin, or with `redirect:loop` to itself.

    Who follows is counted in `redirect_followed`, credentials that come along in `redirect_leaks`.
    """
    if x.args and x.args[0] == "loop":
        await x.reply(b"", 307, headers=[("Location", x.request.raw_target)])
        return
    origin = await x.stage.open_redirect_target()
    location = origin + x.request.raw_target
    await x.reply(b"", x.number(0, 307), headers=[("Location", location)])
