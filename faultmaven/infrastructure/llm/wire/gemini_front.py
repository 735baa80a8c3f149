"""Gemini's generateContent, the gateway's side: requests in.

Source: types of the official client google-genai 3.4 (read 2026-11).  Field names are taken in camel
case and in snake case, as Google's own servers do.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import InvalidRequestError
from faultmaven.infrastructure.llm.types import LLMMessage, LLMRequest, ToolCall
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.allowed_tools import only_named
from faultmaven.infrastructure.llm.wire.gemini_generate import DETAILS_FORMAT
from faultmaven.infrastructure.llm.wire.shapes import as_integer, check_request

if TYPE_CHECKING:
    from collections.abc import Mapping

# Before what we ourselves put into a `thoughtSignature`, inside its base64: another dialect's block.
SEAL: Final = b"fm1."

_CHOICES: Final = {"AUTO": "auto", "NONE": "none", "ANY": "required", "VALIDATED": "required"}
_EFFORT_BY_BUDGET: Final = ((0, "none"), (512, "minimal"), (4096, "low"), (12000, "medium"))
# Parameters that go on as the provider's own: what they are called in other dialects, or here.
_EXTRA: Final = {
    "audioTimestamp": "audioTimestamp",
    "frequencyPenalty": "frequency_penalty",
    "logprobs": "top_logprobs",
    "mediaResolution": "mediaResolution",
    "presencePenalty": "presence_penalty",
    "responseLogprobs": "logprobs",
    "speechConfig": "speechConfig",
    "topK": "top_k",
}
_WHOLE: Final = frozenset({"top_k", "top_logprobs"})
_DECLARATIONS: Final = ("functionDeclarations", "function_declarations")
# Words of OpenAPI's schemas that JSON Schema does not have.
_NOT_IN_JSON_SCHEMA: Final = frozenset({"nullable", "propertyOrdering", "property_ordering"})


def request_from_wire(body: Any) -> LLMRequest:
    """Read the body of `:generateContent` or `:streamGenerateContent`; the model is in the address.

    `labels` mean something to Google's own service only and are left out.

    Raises:
        InvalidRequestError: a field is missing or of the wrong type; `code` is its name.
    """
    body = _checked(body, dict, "the body", "an object")
    if field(body, "cachedContent"):
        raise _wrong(
            where="cachedContent", expected="left out: nothing is stored here, send it all"
        )
    config = _optional(body, "generationConfig", dict, "an object") or {}
    if field(config, "candidateCount") not in (None, 1):
        raise _wrong(where="generationConfig.candidateCount", expected="1")
    choice, allowed = _choice(body)
    tools = only_named(_tools(body), allowed) if allowed else _tools(body)
    extra = {
        ours: as_integer(value) if ours in _WHOLE else value
        for name, ours in _EXTRA.items()
        if (value := field(config, name)) is not None
    }
    if field(config, "responseModalities") not in (None, ["TEXT"]):
        extra["responseModalities"] = field(config, "responseModalities")
    if (settings := field(body, "safetySettings")) is not None:
        extra["safetySettings"] = settings
    schema = _schema_of(config)
    as_json = field(config, "responseMimeType") == "application/json"
    request = LLMRequest(
        messages=_messages(_checked(body.get("contents"), list, "contents", "a list")),
        system_prompt=_system(field(body, "systemInstruction")),
        temperature=_optional(config, "temperature", (int, float), "a number"),
        top_p=_optional(config, "topP", (int, float), "a number"),
        max_tokens=_optional(config, "maxOutputTokens", int, "an integer"),
        stop=_stop(config),
        seed=_optional(config, "seed", int, "an integer"),
        tools=tools or None,
        tool_choice=choice if tools else None,
        output_schema=schema if as_json else None,
        response_format={"type": "json_object"} if as_json and schema is None else None,
        reasoning_effort=_effort(_optional(config, "thinkingConfig", dict, "an object") or {}),
        extra=extra,
    )
    return check_request(request)


def texts_to_embed(body: Any) -> tuple[list[str], int | None]:
    """Read the body of `:embedContent` or `:batchEmbedContents`: texts, and the wanted length.

    Raises:
        InvalidRequestError: there is something else than text in it.
    """
    body = _checked(body, dict, "the body", "an object")
    asked = (
        [body] if "content" in body else _checked(body.get("requests"), list, "requests", "a list")
    )
    texts, length = [], None
    for place, entry in enumerate(asked):
        one = _checked(entry, dict, f"requests[{place}]", "an object")
        parts = _parts_of(one.get("content"), f"requests[{place}].content")
        texts.append("".join(part.get("text") or "" for part in parts))
        length = _optional(one, "outputDimensionality", int, "an integer")
    return texts, length


def field(data: Mapping[str, Any], name: str) -> Any:
    """Take a field by its name in camel case or in snake case; None where it is absent."""
    value = data.get(name)
    return data.get(_snake(name)) if value is None else value


def open_signature(signature: str) -> dict[str, Any] | None:
    """Give the block of another dialect that a signature holds; None for Gemini's own."""
    # Clients give it back in either of base64's alphabets.
    text = signature.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        opened = codec.loads(raw.removeprefix(SEAL)) if raw.startswith(SEAL) else None
    except (binascii.Error, ValueError):
        return None
    return opened if isinstance(opened, dict) else None


def seal_signature(detail: Mapping[str, Any]) -> str:
    """Put another dialect's block of reasoning into a signature."""
    return base64.b64encode(SEAL + codec.dumps(dict(detail))).decode("ascii")


def _messages(turns: list[Any]) -> list[LLMMessage]:
    if not turns:
        raise _wrong(where="contents", expected="a list with at least one turn")
    reader = _TurnsReader()
    for place, item in enumerate(turns):
        where = f"contents[{place}]"
        turn = _checked(item, dict, where, "an object")
        parts = _parts_of(turn, where)
        role = turn.get("role")
        if role == "model":
            reader.answer(parts)
        elif role in (None, "user", "function"):
            reader.question(parts, where)
        else:
            raise _wrong(where=f"{where}.role", expected="user or model")
    return reader.messages


class _TurnsReader:
    """Reads turns; results of calls without ids belong to the oldest open call of their name."""

    def __init__(self) -> None:
        self.messages: list[LLMMessage] = []
        self._open: list[tuple[str, str]] = []
        self._calls = 0

    def question(self, parts: list[dict[str, Any]], where: str) -> None:
        for part in parts:
            if result := field(part, "functionResponse"):
                self._result(_checked(result, dict, f"{where}.functionResponse", "an object"))
        said = [_part(part, where) for part in parts if not field(part, "functionResponse")]
        if said or not parts:
            self.messages.append(LLMMessage(role="user", content=_content(said)))

    def answer(self, parts: list[dict[str, Any]]) -> None:
        message = LLMMessage(role="assistant", content=None)
        for part in parts:
            signature = field(part, "thoughtSignature")
            call = field(part, "functionCall")
            if isinstance(call, dict):
                made = self._call(call, signature)
                message.setdefault("tool_calls", []).append(made)
                continue
            text = part.get("text") or ""
            if signature:
                detail = _detail(text, str(signature), is_thought=bool(part.get("thought")))
                message.setdefault("reasoning_details", []).append(detail)
            if part.get("thought"):
                message["reasoning"] = message.get("reasoning", "") + text
            elif text:
                message["content"] = (message["content"] or "") + text
        self.messages.append(message)

    def _call(self, call: dict[str, Any], signature: Any) -> ToolCall:
        name = str(call.get("name") or "")
        arguments = content.arguments_text(call.get("args")) or "{}"
        made_up = content.make_call_id(self._calls, name, arguments)
        made = ToolCall.make(str(call.get("id") or made_up), name, arguments)
        if signature:
            made["extra_content"] = {"google": {"thought_signature": str(signature)}}
        self._calls += 1
        self._open.append((name, made.id))
        return made

    def _result(self, result: dict[str, Any]) -> None:
        name = str(result.get("name") or "")
        given = result.get("id")
        matches = [
            entry for entry in self._open if (entry[1] == given if given else entry[0] == name)
        ]
        if matches:
            self._open.remove(matches[0])
        call_id = str(given or (matches[0][1] if matches else name))
        said = result.get("response")
        if isinstance(said, dict) and len(said) == 1 and isinstance(said.get("output"), str):
            said = said["output"]
        text = said if isinstance(said, str) else codec.dumps(said).decode()
        self.messages.append(
            LLMMessage(role="tool", tool_call_id=call_id, name=name, content=text)
        )


def _detail(text: str, signature: str, *, is_thought: bool) -> dict[str, Any]:
    opened = open_signature(signature)
    if opened is not None:
        return opened
    if is_thought:
        return {
            "type": "reasoning.text",
            "text": text,
            "signature": signature,
            "format": DETAILS_FORMAT,
        }
    return {"type": "reasoning.encrypted", "data": signature, "format": DETAILS_FORMAT}


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    inline, file = field(part, "inlineData"), field(part, "fileData")
    if isinstance(inline, dict):
        media_type = str(field(inline, "mimeType") or "application/octet-stream")
        data = _checked(inline.get("data"), str, f"{where}.inlineData.data", "base64")
        return _attachment(media_type, f"data:{media_type};base64,{data}", "file_data")
    if isinstance(file, dict):
        media_type = str(field(file, "mimeType") or "")
        return _attachment(media_type, str(field(file, "fileUri") or ""), "file_url")
    raise _wrong(where=f"{where}.parts", expected="text, inlineData, fileData or functionResponse")


def _attachment(media_type: str, address: str, name: str) -> dict[str, Any]:
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": address}}
    if media_type.startswith("audio/") and address.startswith("data:"):
        form = media_type.partition("/")[2].replace("mpeg", "mp3")
        data = address.partition(",")[2]
        return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    return {"type": "file", "file": {name: address}}


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _parts_of(turn: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(turn, str):
        return [{"text": turn}]
    parts = _checked(turn, dict, where, "an object").get("parts")
    listed = (
        [parts] if isinstance(parts, dict) else _checked(parts, list, f"{where}.parts", "a list")
    )
    return [_part_of(part, where) for part in listed]


def _part_of(part: Any, where: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    found: dict[str, Any] = _checked(part, dict, where, "made of objects")
    _optional(found, "text", str, "a text")
    return found


def _system(instruction: Any) -> str | None:
    if instruction is None:
        return None
    parts = _parts_of(instruction, "systemInstruction")
    return "\n\n".join(part.get("text") or "" for part in parts) or None


def _tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for place, tool in enumerate(_optional(body, "tools", list, "a list") or ()):
        _checked(tool, dict, f"tools[{place}]", "an object")
        declared = field(tool, "functionDeclarations")
        # Gemini's own: googleSearch, codeExecution, urlContext.
        if own := {n: v for n, v in tool.items() if n not in _DECLARATIONS}:
            found.append(own)
        found += [
            {"type": "function", "function": _function(function, f"tools[{place}]")}
            for function in _checked(
                declared or [], list, f"tools[{place}]", "a list of functions"
            )
        ]
    return found


def _function(function: Any, where: str) -> dict[str, Any]:
    function = _checked(function, dict, where, "made of objects")
    schema = field(function, "parametersJsonSchema")
    if schema is None and (described := function.get("parameters")) is not None:
        schema = to_json_schema(described)
    return content.without_none(
        name=function.get("name"),
        description=function.get("description"),
        parameters=schema if schema is not None else {"type": "object", "properties": {}},
    )


def _choice(body: Mapping[str, Any]) -> tuple[str | dict[str, Any] | None, list[Any]]:
    """Give the choice, and the names of the tools that it is among where these are several."""
    config = field(_optional(body, "toolConfig", dict, "an object") or {}, "functionCallingConfig")
    if not isinstance(config, dict) or not config.get("mode"):
        return None, []
    names = _optional(config, "allowedFunctionNames", list, "a list") or []
    choice = _CHOICES.get(str(config["mode"]).upper())
    if choice is None:
        raise _wrong(where="functionCallingConfig.mode", expected="AUTO, ANY or NONE")
    if choice == "required" and len(names) == 1:
        return {"type": "function", "function": {"name": str(names[0])}}, []
    return choice, names if choice == "required" else []


def _schema_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    schema = field(config, "responseJsonSchema")
    if schema is None and (described := field(config, "responseSchema")) is not None:
        schema = to_json_schema(described)
    return schema if isinstance(schema, dict) else None


def to_json_schema(schema: Any) -> Any:
    """Say one of OpenAPI's schemas, with its upper-case types and `nullable`, as JSON Schema."""
    if isinstance(schema, list):
        return [to_json_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NOT_IN_JSON_SCHEMA:
            continue
        if name == "properties" and isinstance(value, dict):
            made[name] = {key: to_json_schema(inner) for key, inner in value.items()}
        elif name == "type" and isinstance(value, str):
            made[name] = value.lower()
        elif name in {"default", "enum", "example"}:
            made[name] = value
        else:
            made[_camel(name)] = to_json_schema(value)
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _stop(config: Mapping[str, Any]) -> list[str] | None:
    listed = _optional(config, "stopSequences", list, "a list") or ()
    return [_checked(entry, str, "stopSequences", "a list of texts") for entry in listed] or None


def _effort(thinking: Mapping[str, Any]) -> str | None:
    level, budget = field(thinking, "thinkingLevel"), as_integer(field(thinking, "thinkingBudget"))
    if isinstance(level, str):
        return level.lower()
    if isinstance(budget, int) and budget >= 0:
        return next((effort for bound, effort in _EFFORT_BY_BUDGET if budget <= bound), "high")
    return "medium" if field(thinking, "includeThoughts") else None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _optional(data: Mapping[str, Any], name: str, kind: Any, expected: str) -> Any:
    value = field(data, name)
    return None if value is None else _checked(value, kind, name, expected)


def _checked(value: Any, kind: Any, where: str, expected: str) -> Any:
    if kind is int:
        value = as_integer(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _wrong(where=where, expected=expected)
    return value


def _wrong(*, where: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"{where} must be {expected}.", code=where, status=400)
