"""`POST /v1/completions`: OpenAI's first API, served as a chat with one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.gateway.faults import invalid
from faultmaven.gateway.front import AsItIs, Ask
from faultmaven.gateway.fronts import openai_error
from faultmaven.gateway.fronts.openai_chat import check_kinds, now_s
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest
from faultmaven.infrastructure.llm.wire.openai_chat_front import DONE, usage_to_wire
from faultmaven.infrastructure.llm.wire.shapes import as_integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.gateway.watch import StreamWatch
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse, Usage

_NUMBER: Final = (int, float)
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "max_tokens": ((int,), "an integer"),
    "model": ((str,), "the name of a model"),
    "n": ((int,), "an integer"),
    "prompt": ((str, list), "a text"),
    "seed": ((int,), "an integer"),
    "stop": ((str, list), "a string or a list of strings"),
    "stream": ((bool,), "true or false"),
    "stream_options": ((dict,), "an object"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
}
# The API's own default, far below a chat's.
_DEFAULT_MAX_TOKENS: Final = 16


class CompletionsFront(AsItIs):
    """OpenAI's legacy completions."""

    name = "openai_completions"
    wire_format: str | None = None
    passed_headers: tuple[str, ...] = ()
    answer_fields: tuple[str, ...] = ("max_tokens",)
    error_body = staticmethod(openai_error.error_body)
    error_event = staticmethod(openai_error.error_event)

    def read(self, body: dict[str, Any]) -> Ask:
        """Check types, and that there is one text; see `FrontEnd.read`."""
        check_kinds(body, _KINDS)
        model = body.get("model")
        if not model:
            msg = "model is missing: name a model."
            raise invalid(msg, "model")
        prompt = body.get("prompt")
        if isinstance(prompt, list):
            if len(prompt) != 1 or not isinstance(prompt[0], str):
                msg = "prompt must be one text: lists of texts and of tokens are not taken."
                raise invalid(msg, "prompt")
            prompt = prompt[0]
        if not prompt:
            msg = "prompt is missing: give a text."
            raise invalid(msg, "prompt")
        for name in ("n", "best_of"):
            if body.get(name) not in (None, 1):
                msg = f"{name} must be 1: ask several times for several answers."
                raise invalid(msg, name)
        options = body.get("stream_options")
        wants_usage = options is not None and options.get("include_usage") is True
        ask = Ask(model, body.get("stream") is True, body, wants_usage)
        ask.notes["prompt"] = prompt
        return ask

    def make_request(self, ask: Ask) -> LLMRequest:
        """Say the request in our terms; see `FrontEnd.make_request`."""
        body = ask.body
        limit = as_integer(body.get("max_tokens"))
        return LLMRequest(
            [LLMMessage(role="user", content=ask.notes["prompt"])],
            temperature=body.get("temperature"),
            max_tokens=_DEFAULT_MAX_TOKENS if limit is None else limit,
            top_p=body.get("top_p"),
            stop=body.get("stop"),
            seed=as_integer(body.get("seed")),
        )

    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer; see `FrontEnd.write_answer`."""
        usage = response.usage
        wire = _head(ask.request_id, response.model)
        wire["choices"] = [_choice(response.content, _reason(response.finish_reason or "stop"))]
        wire["usage"] = {
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        }
        return codec.dumps(wire)

    def make_encoder(self, ask: Ask, model: str) -> _Encoder:
        """Make what writes a streamed answer; see `FrontEnd.make_encoder`."""
        return _Encoder(_head(ask.request_id, model), include_usage=ask.include_usage)

    def check_answer(self, data: Any) -> Usage | None:
        """Never asked: this API is not relayed."""
        raise NotImplementedError(data)

    def make_watch(self, ask: Ask, *, finish_optional: bool) -> StreamWatch:
        """Never asked: this API is not relayed."""
        raise NotImplementedError(ask, finish_optional)


class _Encoder:
    """Writes `text_completion` events."""

    def __init__(self, head: dict[str, Any], *, include_usage: bool) -> None:
        self._head = head
        self._include_usage = include_usage

    def encode(self, chunk: LLMChunk) -> bytes:
        """Write one chunk."""
        data = b""
        if chunk.text or chunk.finish_reason:
            choice = _choice(chunk.text, _reason(chunk.finish_reason))
            data = _data({**self._head, "choices": [choice]})
        if chunk.usage is not None and self._include_usage:
            usage = usage_to_wire(chunk.usage)
            data += _data({**self._head, "choices": [], "usage": usage})
        return data

    def end(self) -> bytes:
        """Write the end of a complete answer."""
        return DONE


def _head(request_id: str, model: str) -> dict[str, Any]:
    return {
        "id": f"cmpl-{request_id}",
        "object": "text_completion",
        "created": now_s(),
        "model": model,
    }


def _choice(text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}


def _reason(reason: str | None) -> str | None:
    return "stop" if reason == "tool_calls" else reason


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % codec.dumps(value)
