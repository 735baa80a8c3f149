"""What the fake model says: the same for the same question, in any dialect."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_TEXT = (
    "Grüße aus dem Prüfstand: the naïve 🦊 jumps over the lazy dog, "
    "pays 5 € for a café au lait — and says 日本語 too."
)
DEFAULT_REASONING = "The caller asks for a greeting; the usual one will do."
DEFAULT_MODEL = "fake-model"
CREATED = 1_767_225_600
"""Every answer's time of day: 2026-01-01T00:00:00Z."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as any dialect declares it."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call the fake model makes; `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks, whatever the dialect.

    Attributes:
        model: as named in body or path.
        stream: whether a stream was asked for.
        prompt_text: all text of the prompt, system included; counts as its tokens.
        last_user_text: the last user turn's text, "" where a tool's result came last.
        tools: declared tools.
        tool_choice: "auto", "none", "required", or the name of a tool.
        output_schema: JSON Schema for the answer; `{}` for any JSON; None for text.
        wants_reasoning: whether thinking was asked for.
        include_usage: whether the stream shall report usage where that is a choice.
        streams_arguments: whether arguments shall come in pieces where that is a choice.
        texts: inputs of an embeddings request.
        dimensions: wanted length of its vectors.
        embedding_format: "float" or "base64".
    """

    model: str = DEFAULT_MODEL
    stream: bool = False
    prompt_text: str = ""
    last_user_text: str = ""
    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"
    output_schema: Mapping[str, Any] | None = None
    wants_reasoning: bool = False
    include_usage: bool = True
    streams_arguments: bool = False
    texts: Sequence[str] = ()
    dimensions: int = 8
    embedding_format: str = "float"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts: `input_tokens` with caches inside, `output_tokens` with reasoning inside."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, before a dialect puts it into words.

    Attributes:
        model: repeated in the answer.
        answer_id: the answer's id, without a dialect's prefix.
        chunks: pieces of the text, as a stream sends them.
        reasoning_chunks: pieces of the thinking.
        tool_uses: calls, in order.
        finish_reason: in OpenAI's words.
        usage: token counts.
    """

    model: str
    answer_id: str
    chunks: Sequence[str]
    reasoning_chunks: Sequence[str]
    tool_uses: Sequence[ToolUse]
    finish_reason: FinishReason
    usage: TokenUsage

    @property
    def text(self) -> str:
        """The visible text."""
        return "".join(self.chunks)

    @property
    def reasoning(self) -> str:
        """The thinking."""
        return "".join(self.reasoning_chunks)

    @property
    def text_sha256(self) -> str:
        """Fingerprint of the visible text, sent as `x-mock-text-sha256`."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer instead of the default; None leaves a thing to the default.

    Attributes:
        text: the visible text.
        chunks: the same in the pieces a stream shall send; `text` is then their sum.
        reasoning: thinking, sent whether asked for or not; "" for none.
        tool_calls: `(name, arguments)` pairs or `ToolUse`s; arguments are JSON text or data.
        finish_reason: in OpenAI's words.
        usage: token counts.
    """

    text: str | None = None
    chunks: Sequence[str] | None = None
    reasoning: str | None = None
    tool_calls: Sequence[ToolUse | tuple[str, Any]] | None = None
    finish_reason: FinishReason | None = None
    usage: TokenUsage | None = None


class SchemaError(ValueError):
    """A tool's schema, or that of the wanted answer, is none."""


def make_answer(question: Question, reply: Reply, number: int) -> Answer:
    """Answer a question, deterministically; `number` goes into the ids.

    Raises:
        SchemaError: what was to be answered cannot be told from a schema.
    """
    tool_uses = _tool_uses(question, reply)
    chunks = _text_chunks(question, reply, is_calling=bool(tool_uses))
    reasoning = reply.reasoning
    if reasoning is None:
        reasoning = DEFAULT_REASONING if question.wants_reasoning else ""
    reasoning_chunks = split_text(reasoning)
    finish: FinishReason = reply.finish_reason or ("tool_calls" if tool_uses else "stop")
    usage = reply.usage or TokenUsage(
        input_tokens=count_tokens(question.prompt_text),
        output_tokens=len(chunks)
        + len(reasoning_chunks)
        + sum(count_tokens(use.name + use.arguments) for use in tool_uses),
        reasoning_tokens=len(reasoning_chunks),
    )
    return Answer(
        model=question.model,
        answer_id=f"fake{number:08d}",
        chunks=chunks,
        reasoning_chunks=reasoning_chunks,
        tool_uses=tool_uses,
        finish_reason=finish,
        usage=usage,
    )


def with_text(answer: Answer, chunks: Sequence[str]) -> Answer:
    """Give the answer another text, with the usage that goes with it."""
    output = answer.usage.output_tokens - len(answer.chunks) + len(chunks)
    return replace(answer, chunks=chunks, usage=replace(answer.usage, output_tokens=output))


def count_tokens(text: str) -> int:
    """Count four bytes as a token, at least 1."""
    return max(1, -(-len(text.encode("utf-8", "surrogatepass")) // 4))


def split_text(text: str) -> list[str]:
    """Cut a text before each space."""
    return re.findall(r"\s*\S+|\s+$", text)


def _text_chunks(question: Question, reply: Reply, *, is_calling: bool) -> Sequence[str]:
    if reply.chunks is not None:
        return list(reply.chunks)
    if reply.text is not None:
        return split_text(reply.text)
    if is_calling:
        return []
    if question.output_schema is not None:
        document = make_document(question.output_schema, "schema of the answer")
        return split_text(json.dumps(document, ensure_ascii=False))
    return split_text(DEFAULT_TEXT)


def _tool_uses(question: Question, reply: Reply) -> list[ToolUse]:
    if reply.tool_calls is not None:
        return [
            use if isinstance(use, ToolUse) else ToolUse(f"call_{index}", use[0], _as_text(use[1]))
            for index, use in enumerate(reply.tool_calls)
        ]
    return [
        ToolUse(
            f"call_{index}",
            tool.name,
            json.dumps(
                make_document(tool.parameters, f"schema of the function {tool.name!r}"),
                ensure_ascii=False,
            ),
        )
        for index, tool in enumerate(_tools_to_call(question))
    ]


def _tools_to_call(question: Question) -> Sequence[Tool]:
    """Choose tools: those forced, else by what the last user turn says.

    "tool" or a tool's name in it calls one tool, "parallel" or "both" calls two.
    """
    if not question.tools or question.tool_choice == "none" or not question.last_user_text:
        return []
    named = [tool for tool in question.tools if tool.name == question.tool_choice]
    if named:
        return named
    text = question.last_user_text.lower()
    if "parallel" in text or "both" in text:
        first = list(question.tools[:2])
        return first if len(first) == 2 else first * 2
    mentioned = [tool for tool in question.tools if tool.name.lower() in text]
    if mentioned:
        return mentioned[:1]
    if "tool" in text or question.tool_choice == "required":
        return question.tools[:1]
    return []


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def make_document(schema: Any, what: str) -> Any:
    """Build a small document that a JSON Schema allows.

    Raises:
        SchemaError: the schema cannot be read; says `what` it is.
    """
    try:
        return minimal_document(schema, schema)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        msg = f"Invalid schema: the {what} is no JSON Schema."
        raise SchemaError(msg) from exc


def minimal_document(schema: Any, root: Any, depth: int = 0) -> Any:
    """Build a small document that a JSON Schema allows; covers what strict outputs may use."""
    if not isinstance(schema, dict) or depth > 32:
        return {}
    if "$ref" in schema:
        return minimal_document(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            rest = {key: value for key, value in schema.items() if key != word}
            return minimal_document(_merge(rest, schema[word], word), root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema or not schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    return _MINIMAL.get(kind, _minimal_string)(schema, root, depth)


def _merge(rest: dict[str, Any], parts: list[Any], word: str) -> dict[str, Any]:
    for part in parts if word == "allOf" else parts[:1]:
        rest = {
            **rest,
            **part,
            "properties": {**rest.get("properties", {}), **part.get("properties", {})},
            "required": [*rest.get("required", []), *part.get("required", [])],
        }
    if not rest["properties"]:
        del rest["properties"]
    return rest


def _resolve(reference: str, root: Any) -> Any:
    node = root
    for step in reference.lstrip("#").split("/"):
        if step:
            node = node.get(step.replace("~1", "/").replace("~0", "~"), {})
    return node


def _minimal_object(schema: dict[str, Any], root: Any, depth: int) -> Any:
    properties = schema.get("properties", {})
    return {
        name: minimal_document(properties.get(name, {"type": "string"}), root, depth + 1)
        for name in dict.fromkeys(schema.get("required", ()))
    }


def _minimal_array(schema: dict[str, Any], root: Any, depth: int) -> Any:
    item = schema.get("items", {"type": "string"})
    return [minimal_document(item, root, depth + 1) for _ in range(schema.get("minItems", 0))]


_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "user@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def _minimal_string(schema: dict[str, Any], _root: Any, _depth: int) -> Any:
    text = _FORMATS.get(schema.get("format", ""), "text")
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _minimal_number(schema: dict[str, Any], _root: Any, _depth: int) -> Any:
    step = schema.get("multipleOf", 1)
    lowest = schema.get("minimum", 0)
    if "exclusiveMinimum" in schema:
        lowest = max(lowest, schema["exclusiveMinimum"] + step)
    highest = schema.get("maximum", schema.get("exclusiveMaximum", lowest + step) - step)
    value = min(max(lowest, 0), highest)
    return -(-value // step) * step if "multipleOf" in schema else value


def _minimal_boolean(_schema: dict[str, Any], _root: Any, _depth: int) -> Any:
    return True


def _minimal_null(_schema: dict[str, Any], _root: Any, _depth: int) -> Any:
    return None


_MINIMAL: dict[str, Callable[[dict[str, Any], Any, int], Any]] = {
    "object": _minimal_object,
    "array": _minimal_array,
    "string": _minimal_string,
    "integer": _minimal_number,
    "number": _minimal_number,
    "boolean": _minimal_boolean,
    "null": _minimal_null,
}
