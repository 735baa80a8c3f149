"""Speak to an API that nobody knows: a dialect of four methods, tried against a local server."""

from __future__ import annotations

import asyncio
from typing import Any

from faultmaven.infrastructure.llm.providers import HTTPProvider
from faultmaven.infrastructure.llm.types import ChatRequest, ChatResponse
from faultmaven.testing import FakeUpstream


class PlainProvider(HTTPProvider):
    """An API that wants a model and turns, and a key in a header of its own."""

    def _get_headers(self) -> dict[str, str]:
        return {"X-Plain-Key": self.api_key or ""}

    def _transform_request(self, request: ChatRequest) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        return {"model": request.model, "messages": turns}

    def _transform_response(self, data: Any) -> ChatResponse:
        usage = {
            "input_tokens": data["usage"]["prompt_tokens"],
            "output_tokens": data["usage"]["completion_tokens"],
        }
        return ChatResponse(data["choices"][0]["message"]["content"], data["model"], usage)

    def _parse_stream_chunk(self, data: Any) -> str | None:
        text: str | None = data["choices"][0]["delta"].get("content") if data["choices"] else None
        return text


async def main() -> None:
    """Let a server fail once; the call gets through all the same."""
    async with FakeUpstream() as upstream:
        upstream.script(["status:503"])
        settings = {"api_base": upstream.base_url, "api_key": "sk-x", "default_model": "plain-1"}
        async with PlainProvider(settings) as provider:
            response = await provider.generate("Hello")
            print(response.content)
            async for chunk in provider.stream("Hello"):
                print(chunk.text, end="")
    print(f"\n{len(upstream.requests)} requests")


if __name__ == "__main__":
    asyncio.run(main())
