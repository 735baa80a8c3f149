"""A provider that opens its own session: canned answers take the place of a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses
from typing_extensions import override

from faultmaven.infrastructure.llm.errors import (
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
)
from faultmaven.infrastructure.llm.providers import BaseLLMProvider, LLMResponse
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest

URL = "https://api.acme.example/v1/say"
REQUEST = LLMRequest([LLMMessage(role="user", content="Hello")])


class AcmeProvider(BaseLLMProvider):
    """Posts a prompt, reads a text."""

    @property
    @override
    def provider_name(self) -> str:
        return "acme"

    @override
    def is_available(self) -> bool:
        return True

    @override
    def get_supported_models(self) -> list[str]:
        return ["acme-1"]

    @override
    async def generate(self, prompt: Any, *args: Any, **kwargs: Any) -> LLMResponse:
        self._start_timing()
        async with aiohttp.ClientSession() as session, session.post(URL, json=prompt) as reply:
            if reply.status != 200:
                msg = f"acme API error {reply.status}: {await reply.text()}"
                raise RuntimeError(msg)
            text = self._validate_response_content((await reply.json())["text"])
        return LLMResponse(text, 0.8, "acme", "acme-1", 0, self._get_response_time_ms())


class CannedResponse(aiohttp.ClientResponse):
    """Gives aiohttp what it asks for since 3.14 and aioresponses 0.7 does not pass."""

    def __init__(self, *args: Any, **details: Any) -> None:
        super().__init__(*args, **{"stream_writer": SimpleNamespace(output_size=0), **details})


async def test_canned_answer_is_read() -> None:
    with aioresponses() as canned:
        canned.post(URL, payload={"text": "Good day"}, response_class=CannedResponse)
        response = await AcmeProvider().complete(REQUEST)

    canned.assert_called_once_with(URL, method="POST", json="Hello")
    assert response.content == "Good day"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"status": 500, "body": "broken"}, ServerError, None),
        ({"status": 429, "body": "slow down"}, RateLimitError, None),
        ({"payload": {"no": "text"}}, ResponseFormatError, "unexpected_shape"),
        ({"payload": {"text": " "}}, ResponseFormatError, "empty_response"),
        ({"exception": TimeoutError()}, LLMTimeoutError, "read_timeout"),
        ({"exception": aiohttp.ClientConnectionError("refused")}, LLMError, None),
    ],
    ids=["500", "429", "shape", "empty", "timeout", "refused"],
)
async def test_what_it_raises_becomes_an_error_of_ours(
    answer: dict[str, Any], kind: type[LLMError], code: str | None
) -> None:
    with aioresponses() as canned:
        canned.post(URL, **answer, response_class=CannedResponse)
        with pytest.raises(kind) as caught:
            await AcmeProvider().complete(REQUEST)

    assert caught.value.provider == "acme"
    assert code in (None, caught.value.code)


async def test_lost_connection_may_be_tried_again() -> None:
    with aioresponses() as canned:
        canned.post(URL, exception=ConnectionResetError("gone"))
        with pytest.raises(LLMConnectionError) as caught:
            await AcmeProvider().complete(REQUEST)

    assert caught.value.retryable
