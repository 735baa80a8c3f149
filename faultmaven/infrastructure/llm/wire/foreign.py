"""What a request says in words of another API than the one that is asked: fields, and tools of its own.

A host answers 400 to a field that it does not know, so what is known to be another API's is named here, to be
left out and reported.  What nobody is known to claim goes along: it is meant for the host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

# Beyond the fields of `LLMRequest` (reference of chat completions, read 2026-11).
CHAT_FIELDS: Final = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "service_tier", "store", "top_logprobs", "user",
    "verbosity", "web_search_options",
})  # fmt: skip
ANTHROPIC_FIELDS: Final = frozenset({"container", "context_management", "mcp_servers"})
# Most of them are in `generationConfig` (types of google-genai 3.4).
GEMINI_FIELDS: Final = frozenset({
    "audioTimestamp", "mediaResolution", "responseModalities", "safetySettings", "speechConfig",
})  # fmt: skip
RESPONSES_FIELDS: Final = frozenset({"max_tool_calls"})
_KNOWN: Final = CHAT_FIELDS | ANTHROPIC_FIELDS | GEMINI_FIELDS | RESPONSES_FIELDS

_ANTHROPIC_TOOL: Final = re.compile(r"_20\d{6}$")
_GEMINI_TOOLS: Final = frozenset({
    "codeExecution", "code_execution", "computerUse", "computer_use", "fileSearch", "file_search",
    "googleMaps", "google_maps", "googleSearch", "googleSearchRetrieval", "google_search",
    "google_search_retrieval", "urlContext", "url_context",
})  # fmt: skip


class HostedTool(dict[str, Any]):
    """A tool of the Responses API that its own service runs: chat hosts have some of the same type."""

    __slots__ = ()


def foreign_fields(request: LLMRequest, taken: frozenset[str]) -> tuple[str, ...]:
    """Name the fields that a request has from other APIs.

    Args:
        request: what is asked for.
        taken: those of the known fields that the asked API has.
    """
    return tuple(name for name in request.extra if name in _KNOWN and name not in taken)


def foreign_tools(request: LLMRequest, own: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Give the tools that only another API's own service can run, each with its name.

    Args:
        request: what is asked for.
        own: whose tools may stay: `anthropic`, `gemini`, `responses`, or nobody's.
    """
    for tool in request.tools or ():
        maker, name = _maker_of(tool)
        if maker not in ("", own):
            yield tool, name


def _maker_of(tool: Mapping[str, Any]) -> tuple[str, str]:
    kind = tool.get("type")
    if isinstance(tool, HostedTool):
        return "responses", str(kind)
    if isinstance(kind, str):
        return ("anthropic" if _ANTHROPIC_TOOL.search(kind) else ""), kind
    name = next((name for name in tool if name in _GEMINI_TOOLS), "")
    return ("gemini" if name else ""), name
