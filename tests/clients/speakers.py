"""The official Python clients behind one set of words, so that one test asks each of them.

A speaker is made of a gateway; what it returns is in the words of its own API.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.clients.installed import need
from tests.clients.questions import DOCUMENT_DATA, IMAGE, IMAGE_DATA, PARAMETERS, SCHEMA

openai = need("openai")
anthropic = need("anthropic")
genai = need("google.genai")

from google.genai import errors, types  # noqa: E402  # after need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.served import Served

TEXT = "Weather in Paris and Oslo?"
WHAT = "What is it?"
QUESTION: list[Any] = [{"role": "user", "content": TEXT}]
DOCUMENT = f"data:application/pdf;base64,{DOCUMENT_DATA}"
FUNCTION = {"name": "get_weather", "description": "Tell the weather", "parameters": PARAMETERS}


class Said(NamedTuple):
    """An answer: why it ended in the API's words, and tokens with the cached ones inside."""

    text: str
    stop: str | None
    input_tokens: int
    cached_tokens: int | None
    output_tokens: int


class _OpenAISpeaker:
    """OpenAI's client."""

    error: type[Exception] = openai.APIError
    not_found: type[Exception] = openai.NotFoundError
    status_of = staticmethod(attrgetter("status_code"))

    def __init__(self, gateway: Served) -> None:
        self._client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)

    def close(self) -> None:
        self._client.close()


class ChatSpeaker(_OpenAISpeaker):
    """Chat completions."""

    stops = ("stop", "length", "content_filter")

    def ask(self, model: str, *, streamed: bool) -> Said:
        if not streamed:
            answer = self._client.chat.completions.create(model=model, messages=QUESTION)
            choice = answer.choices[0]
            return _said_chat(choice.message.content, choice.finish_reason, answer.usage)
        with self._client.chat.completions.create(
            model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        text = "".join(choice.delta.content or "" for choice in choices)
        return _said_chat(text, choices[-1].finish_reason, chunks[-1].usage)

    def show_files(self, model: str) -> str:
        parts: list[Any] = [
            {"type": "text", "text": WHAT},
            {"type": "image_url", "image_url": {"url": IMAGE}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": DOCUMENT}},
        ]
        answer = self._client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": parts}]
        )
        return answer.choices[0].message.content

    def ask_for_data(self, model: str, *, streamed: bool) -> Any:
        options: dict[str, Any] = {
            "model": model,
            "messages": QUESTION,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        }
        completions = self._client.chat.completions
        if not streamed:
            return json.loads(completions.create(**options).choices[0].message.content)
        with completions.stream(**options) as events:
            return json.loads(events.get_final_completion().choices[0].message.content)

    def call_tools(self, model: str, *, streamed: bool) -> tuple[list[str], str]:
        """Ask, do what the model calls for, and tell it; give the cities and the last answer."""
        options: dict[str, Any] = {
            "model": model,
            "tools": [{"type": "function", "function": FUNCTION}],
            "reasoning_effort": "high",
            "max_completion_tokens": 30000,
        }
        completions = self._client.chat.completions
        if streamed:
            with completions.stream(messages=QUESTION, **options) as events:
                asked = events.get_final_completion().choices[0].message
        else:
            asked = completions.create(messages=QUESTION, **options).choices[0].message
        results: list[Any] = [
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
            for call in asked.tool_calls
        ]
        answer = completions.create(messages=[*QUESTION, asked, *results], **options)
        cities = [json.loads(call.function.arguments)["city"] for call in asked.tool_calls]
        return cities, answer.choices[0].message.content

    @contextmanager
    def begun(self, model: str) -> Iterator[None]:
        """Read the first piece of a stream, and leave at the end of the block."""
        with self._client.chat.completions.create(
            model=model, messages=QUESTION, stream=True
        ) as stream:
            next(iter(stream))
            yield


class ResponsesSpeaker(_OpenAISpeaker):
    """Responses."""

    stops = ("completed", "max_output_tokens", "content_filter")

    def ask(self, model: str, *, streamed: bool) -> Said:
        answer = self._respond(streamed, model=model, input=TEXT)
        details = answer.incomplete_details
        usage = answer.usage
        return Said(
            answer.output_text,
            details.reason if details else answer.status,
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
        )

    def show_files(self, model: str) -> str:
        parts: list[Any] = [
            {"type": "input_text", "text": WHAT},
            {"type": "input_image", "image_url": IMAGE, "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": DOCUMENT},
        ]
        answer = self._respond(False, model=model, input=[{"role": "user", "content": parts}])
        return answer.output_text

    def ask_for_data(self, model: str, *, streamed: bool) -> Any:
        form = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
        answer = self._respond(streamed, model=model, input=TEXT, text={"format": form})
        return json.loads(answer.output_text)

    def call_tools(self, model: str, *, streamed: bool) -> tuple[list[str], str]:
        """Ask, do what the model calls for, and tell it; give the cities and the last answer."""
        options: dict[str, Any] = {
            "model": model,
            "tools": [{"type": "function", **FUNCTION, "strict": True}],
            "reasoning": {"effort": "high"},
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": 30000,
            "store": False,
        }
        items: list[Any] = [*QUESTION]
        asked = self._respond(streamed, input=items, **options)
        calls = [item for item in asked.output if item.type == "function_call"]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
            for call in calls
        ]
        answer = self._respond(False, input=[*items, *asked.output, *results], **options)
        return [json.loads(call.arguments)["city"] for call in calls], answer.output_text

    @contextmanager
    def begun(self, model: str) -> Iterator[None]:
        """Read the first piece of a stream, and leave at the end of the block."""
        with self._client.responses.create(model=model, input=TEXT, stream=True) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")
            yield

    def _respond(self, streamed: bool, **options: Any) -> Any:
        if not streamed:
            return self._client.responses.create(**options)
        with self._client.responses.stream(**options) as events:
            last = list(events)[-1]
        assert last.type in ("response.completed", "response.incomplete"), last
        return last.response


class MessagesSpeaker:
    """Anthropic's client."""

    stops = ("end_turn", "max_tokens", "refusal")
    error: type[Exception] = anthropic.APIError
    not_found: type[Exception] = anthropic.NotFoundError
    status_of = staticmethod(attrgetter("status_code"))

    def __init__(self, gateway: Served) -> None:
        self._client = anthropic.Anthropic(
            base_url=gateway.url, api_key=gateway.key, max_retries=0
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, model: str, *, streamed: bool) -> Said:
        answer = self._create(streamed, model=model, messages=QUESTION, max_tokens=50)
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        return Said(
            "".join(block.text for block in answer.content),
            answer.stop_reason,
            usage.input_tokens + cached,
            cached,
            usage.output_tokens,
        )

    def show_files(self, model: str) -> str:
        image = {"type": "base64", "media_type": "image/png", "data": IMAGE_DATA}
        document = {"type": "base64", "media_type": "application/pdf", "data": DOCUMENT_DATA}
        parts = [
            {"type": "image", "source": image},
            {"type": "document", "source": document},
            {"type": "text", "text": WHAT},
        ]
        turns = [{"role": "user", "content": parts}]
        answer = self._create(False, model=model, messages=turns, max_tokens=50)
        return str(answer.content[0].text)

    def ask_for_data(self, model: str, *, streamed: bool) -> Any:
        answer = self._create(
            streamed,
            model=model,
            messages=QUESTION,
            max_tokens=50,
            output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        )
        return json.loads(answer.content[0].text)

    def call_tools(self, model: str, *, streamed: bool) -> tuple[list[str], str]:
        """Ask, do what the model calls for, and tell it; give the cities and the last answer."""
        tool = {"name": "get_weather", "description": "Tell", "input_schema": PARAMETERS}
        options: dict[str, Any] = {
            "model": model,
            "tools": [tool],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "max_tokens": 4000,
        }
        asked = self._create(streamed, messages=QUESTION, **options)
        uses = [block for block in asked.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"} for use in uses
        ]
        turns = [
            *QUESTION,
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": results},
        ]
        answer = self._create(False, messages=turns, **options)
        return [use.input["city"] for use in uses], answer.content[-1].text

    @contextmanager
    def begun(self, model: str) -> Iterator[None]:
        """Read the first piece of a stream, and leave at the end of the block."""
        with self._client.messages.stream(model=model, messages=QUESTION, max_tokens=50) as events:
            next(iter(events.text_stream))
            yield

    def _create(self, streamed: bool, **options: Any) -> Any:
        if not streamed:
            return self._client.messages.create(**options)
        with self._client.messages.stream(**options) as events:
            return events.get_final_message()


class GeminiSpeaker:
    """Google's client."""

    stops = ("STOP", "MAX_TOKENS", "SAFETY")
    error: type[Exception] = Exception
    not_found: type[Exception] = errors.ClientError
    status_of = staticmethod(attrgetter("code"))

    def __init__(self, gateway: Served) -> None:
        options = types.HttpOptions(base_url=gateway.url)
        self._client = genai.Client(api_key=gateway.key, http_options=options)

    def close(self) -> None:
        self._client.close()

    def ask(self, model: str, *, streamed: bool) -> Said:
        if streamed:
            chunks = list(self._client.models.generate_content_stream(model=model, contents=TEXT))
        else:
            chunks = [self._client.models.generate_content(model=model, contents=TEXT)]
        usage = chunks[-1].usage_metadata
        return Said(
            "".join(chunk.text or "" for chunk in chunks),
            chunks[-1].candidates[0].finish_reason.value,
            usage.prompt_token_count,
            usage.cached_content_token_count,
            usage.candidates_token_count,
        )

    def show_files(self, model: str) -> str:
        picture = {"inline_data": {"mime_type": "image/png", "data": IMAGE_DATA}}
        document = {"inline_data": {"mime_type": "application/pdf", "data": DOCUMENT_DATA}}
        parts: Any = [{"text": WHAT}, picture, document]
        answer = self._client.models.generate_content(
            model=model, contents=[{"role": "user", "parts": parts}]
        )
        return str(answer.text)

    def ask_for_data(self, model: str, *, streamed: bool) -> Any:
        config = types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=SCHEMA
        )
        models = self._client.models
        if not streamed:
            found = models.generate_content(model=model, contents=TEXT, config=config)
            return json.loads(found.text)
        chunks = models.generate_content_stream(model=model, contents=TEXT, config=config)
        return json.loads("".join(chunk.text or "" for chunk in chunks))

    def call_tools(self, model: str, *, streamed: bool) -> tuple[list[str], str]:
        """Ask, do what the model calls for, and tell it; give the cities and the last answer."""
        declared = types.FunctionDeclaration(
            name="get_weather", description="Tell", parameters_json_schema=PARAMETERS
        )
        config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[declared])],
            max_output_tokens=9000,
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2000),
        )
        chat = self._client.chats.create(model=model, config=config)
        answers = list(chat.send_message_stream(TEXT)) if streamed else [chat.send_message(TEXT)]
        calls = [call for answer in answers for call in answer.function_calls or ()]
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": "sunny"}
                )
            )
            for call in calls
        ]
        last = chat.send_message(results)
        return [call.args["city"] for call in calls], last.text

    @contextmanager
    def begun(self, model: str) -> Iterator[None]:
        """Read the first piece of a stream, and leave at the end of the block."""
        stream = self._client.models.generate_content_stream(model=model, contents=TEXT)
        next(stream)
        try:
            yield
        finally:
            stream.close()


def _said_chat(text: str | None, stop: str, usage: Any) -> Said:
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else None
    return Said(text or "", stop, usage.prompt_tokens, cached, usage.completion_tokens)


SPEAKERS = {
    "chat": ChatSpeaker,
    "responses": ResponsesSpeaker,
    "messages": MessagesSpeaker,
    "gemini": GeminiSpeaker,
}
