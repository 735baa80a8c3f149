"""Answers as data: asking for a schema in the way a model can, and checking what came.

Levels, from the most reliable: the dialect's own `json_schema`, a forced `tool` call, a `prompt` (with
`json_object` where the host has that mode).  The row's `structured_output` names the best that a
provider has, and `choose_level` what is left of it for one model and request; falling below what was
asked for is reported, or refused, like any parameter.  Whatever the level, the answer is validated.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import ConfigurationError, ResponseFormatError

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.errors import LLMError
    from faultmaven.infrastructure.llm.types import LLMRequest, LLMResponse
    from faultmaven.infrastructure.llm.wire.parameters import ParameterRules

TOOL_NAME: Final = "answer"
LEVELS: Final = ("json_schema", "tool", "json_object", "prompt")

# What hosts call it, how they say that they have it not, and what they say of a bad schema.
_STRUCTURE: Final = re.compile(
    r"(?i)response.?format|json.?(schema|object|mode)|structured.?output"
)
_NOT_TAKEN: Final = re.compile(
    r"(?i)\b(not|n't)\b.{0,20}\b(support|available|allow|permit|accept)|unsupported|unavailable|"
    r"unrecogni[sz]ed|unknown (parameter|field|argument)|extra inputs"
)
_ITSELF: Final = re.compile(
    r"(?i)invalid schema|keyword|\$ref|additionalProperties|propert(y|ies)\b"
)

_SAID: Final = {
    "tool": "a forced tool call",
    "json_object": "the host's JSON mode, the schema in the prompt",
    "prompt": "the prompt alone",
}


def requested_schema(request: LLMRequest) -> dict[str, Any] | None:
    """Give the schema that the answer must match; `{}` for any JSON; None where text is wanted."""
    if request.output_schema is not None:
        return request.output_schema
    wanted = request.response_format
    if wanted is None:
        return None
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        return schema if isinstance(schema, dict) else {}
    return {} if wanted.get("type") == "json_object" else None


def choose_level(request: LLMRequest, best: str, rules: ParameterRules, report: list[str]) -> str:
    """Give the level at which this model is asked, the best that is left.

    Args:
        request: wants a schema, or any JSON.
        best: the strongest way that the provider has (`structured_output`, or the dialect's own).
        rules: what the model takes.
        report: gets a sentence where the level is weaker than what was asked for.

    Raises:
        UnsupportedParameterError: it is weaker, and the policy is "error".
    """
    wanted = "json_schema" if requested_schema(request) else "json_object"
    # The forced call would keep the caller's own tools from being called, and its pieces are no text.
    # Models that think are mostly forced to no tool.
    thinks = request.reasoning_effort not in (None, "none")
    tool_fits = not (request.tools or request.stream or thinks) and rules.takes_tools
    level = best if best in LEVELS else "prompt"
    if level in ("json_schema", "json_object") and not rules.takes_schemas:
        level = "tool"
    if level == "tool" and not tool_fits:
        level = "prompt"
    if level in ("json_schema", wanted):
        return level
    name = "response_format" if request.output_schema is None else "output_schema"
    if rules.policy == "error":
        rules.refuse(name, report)
    report.append(f"{name} was asked for by {_SAID[level]}: {rules.model} has no stronger way")
    return level


def ask_for_structure(request: LLMRequest, level: str) -> LLMRequest:
    """Say the request's schema at a level below `json_schema`; the request itself is not changed."""
    schema = requested_schema(request)
    if schema is None or level == "json_schema":
        return request
    if level == "tool":
        parameters = schema or {"type": "object"}
        tool = {"name": TOOL_NAME, "description": "Give the answer.", "parameters": parameters}
        return replace(
            request,
            output_schema=None,
            response_format=None,
            tools=[*(request.tools or ()), {"type": "function", "function": tool}],
            tool_choice={"type": "function", "function": {"name": TOOL_NAME}},
        )
    order = "Answer with one JSON document and nothing else, without a code fence."
    if schema:
        order += f" It must match this JSON Schema: {codec.dumps(schema).decode()}"
    return replace(
        request,
        output_schema=None,
        response_format={"type": "json_object"} if level == "json_object" else None,
        system_prompt=f"{request.system_prompt}\n\n{order}" if request.system_prompt else order,
    )


def refuses_structure(error: LLMError, level: str) -> bool:
    """Tell whether an error says that the model has no such way to be asked for structure.

    An error about the schema itself is not meant: a weaker level would hide it.

    Args:
        error: of the host.
        level: at which it was asked.
    """
    if not level.startswith("json"):
        return False
    said = error.upstream_message or error.message
    about = f"{said} {getattr(error, 'parameter', None) or ''}"
    return bool(_STRUCTURE.search(about) and _NOT_TAKEN.search(said) and not _ITSELF.search(said))


def read_structure(response: LLMResponse, schema: dict[str, Any], level: str) -> None:
    """Put the answer's data into `parsed`, checked against the schema.

    Raises:
        ResponseFormatError: it is not JSON, or does not match; retryable unless it was cut off.
        ConfigurationError: the schema itself is not valid.
    """
    if level == "tool":
        _take_tool_answer(response)
    elif response.tool_calls:
        return
    if response.finish_reason == "content_filter" or response.refusal:
        return
    try:
        value = codec.loads(_without_fence(response.content))
    except ValueError as exc:
        raise _mismatch(response, "the answer is not JSON") from exc
    if problem := first_problem(value, schema):
        raise _mismatch(response, f"the answer does not match the schema: {problem}")
    response.parsed = value


def first_problem(value: Any, schema: dict[str, Any]) -> str | None:
    """Say the first thing in which a value breaks a JSON Schema, as `path: problem`; None for none.

    Raises:
        ConfigurationError: the schema itself is not valid.
    """
    if not schema:
        return None
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    if not isinstance(schema.get("$schema", ""), str):
        problem = "$schema is not a text"
        raise _not_a_schema(problem)
    validator = validator_for(schema)
    try:
        validator.check_schema(schema)
    except SchemaError as exc:
        raise _not_a_schema(exc.message) from exc
    for error in validator(schema).iter_errors(value):
        return f"{error.json_path}: {error.message[:200]}"
    return None


def _not_a_schema(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"output_schema is not a valid JSON Schema: {problem}", code="invalid_schema"
    )


def _take_tool_answer(response: LLMResponse) -> None:
    for call in response.tool_calls:
        if call.name == TOOL_NAME:
            response.content = call.arguments_raw
            response.tool_calls = [c for c in response.tool_calls if c is not call]
            if response.finish_reason == "tool_calls" and not response.tool_calls:
                response.finish_reason = "stop"
            return


def _without_fence(text: str) -> str:
    """Take the document out of a Markdown code fence, which small models like to put around it."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare[3:-3].partition("\n")[2] if "\n" in bare else bare[3:-3]
    return bare


def _mismatch(response: LLMResponse, problem: str) -> ResponseFormatError:
    if response.finish_reason == "length":
        return ResponseFormatError(
            f"{problem}: it was cut off, raise max_tokens", code="schema_mismatch", retryable=False
        )
    return ResponseFormatError(problem, code="schema_mismatch")
