"""The fake upstream's answers that are no model's: `/__admin/…`, 404, 401, 400."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from faultmaven.testing import http1
from faultmaven.testing.answers import Question, Reply
from faultmaven.testing.dialects.base import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.testing.connection import Connection
    from faultmaven.testing.exchange import Exchange
    from faultmaven.testing.journal import RecordedRequest
    from faultmaven.testing.upstream import FakeUpstream


def no_question(model: str) -> Question:
    """Give the question of a request that asks nothing."""
    return Question(model=model)


def named(question: Question, model: str) -> Question:
    """Give a question that names no model, such as that for the list of models, the server's."""
    return question if question.model else replace(question, model=model)


async def no_route(x: Exchange) -> None:
    """Answer 404 to a path that no provider has."""
    await x.reply_error(404, f"no route {x.request.method} {x.request.path}", "not_found_error")


async def no_entry(x: Exchange) -> None:
    """Answer 401 to a key that is not let in."""
    message = "The API key is missing or not valid."
    await x.reply_error(401, message, "authentication_error", "invalid_api_key")


async def no_schema(x: Exchange) -> None:
    """Answer 400 to a schema that is none; its argument says which."""
    await x.reply_error(400, x.args[0], "invalid_request_error", "invalid_schema")


async def answer(upstream: FakeUpstream, connection: Connection, request: RecordedRequest) -> None:
    """Answer `/__admin/<name>`: stats, requests, faults, mode, script, reply, keys, release, reset.

    `mode` takes `{"behaviour": spec or null}`, `script` `{"behaviours": [...]}`, `keys`
    `{"keys": [...] or null}`, `reply` the fields of `Reply`.
    """
    action = _ACTIONS.get(request.path.removeprefix("/__admin/"))
    status, data = 200, None
    try:
        data = {"error": "no such action"} if action is None else action(upstream, request.json)
        status = 404 if action is None else 200
    except (ValueError, TypeError, KeyError) as exc:
        status, data = 400, {"error": str(exc)}
    body = dump(data).encode()
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    await connection.send(http1.head(status, lines) + body)


def _requests(upstream: FakeUpstream, _data: Any) -> Any:
    return [
        {
            "number": r.number,
            "method": r.method,
            "path": r.path,
            "headers": dict(r.headers),
            "body": r.body.decode("utf-8", "replace"),
            "behaviour": r.behaviour,
            "connection_id": r.connection_id,
            "received_s": r.received_s,
            "client_gone_s": r.client_gone_s,
            "finished_s": r.finished_s,
            "events_sent": r.events_sent,
            "blocked_s": r.blocked_s,
        }
        for r in upstream.requests
    ]


def _set_keys(upstream: FakeUpstream, data: Any) -> Any:
    upstream.api_keys = None if data["keys"] is None else set(data["keys"])
    return {"ok": True}


def _set_reply(upstream: FakeUpstream, data: Any) -> Any:
    reply = Reply(**data)
    upstream.reply(
        reply.text,
        chunks=reply.chunks,
        reasoning=reply.reasoning,
        tool_calls=None if reply.tool_calls is None else [(n, a) for n, a in data["tool_calls"]],
        finish_reason=reply.finish_reason,
    )
    return {"ok": True}


def _set_mode(upstream: FakeUpstream, data: Any) -> Any:
    upstream.mode(data["behaviour"])
    return {"ok": True}


def _set_script(upstream: FakeUpstream, data: Any) -> Any:
    upstream.script(data["behaviours"])
    return {"ok": True}


def _release(upstream: FakeUpstream, _data: Any) -> Any:
    upstream.release()
    return {"ok": True}


def _reset(upstream: FakeUpstream, _data: Any) -> Any:
    upstream.reset()
    return {"ok": True}


_ACTIONS: dict[str, Callable[[FakeUpstream, Any], Any]] = {
    "faults": lambda upstream, _data: upstream.faults(),
    "keys": _set_keys,
    "mode": _set_mode,
    "release": _release,
    "reply": _set_reply,
    "requests": _requests,
    "reset": _reset,
    "script": _set_script,
    "stats": lambda upstream, _data: upstream.stats(),
}
