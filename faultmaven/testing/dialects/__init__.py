"""The dialects that the fake upstream speaks, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.testing.dialects.anthropic import AnthropicCountTokens, AnthropicMessages
from faultmaven.testing.dialects.anthropic_clouds import (
    BedrockInvoke,
    BedrockInvokeStream,
    VertexAnthropic,
    VertexAnthropicCountTokens,
    VertexAnthropicStream,
)
from faultmaven.testing.dialects.bedrock import BedrockConverse, BedrockConverseStream
from faultmaven.testing.dialects.cohere import CohereChat, CohereEmbed
from faultmaven.testing.dialects.embeddings import OpenAIEmbeddings, OpenAIModels
from faultmaven.testing.dialects.gemini import (
    GeminiCountTokens,
    GeminiEmbed,
    GeminiGenerate,
    GeminiStream,
)
from faultmaven.testing.dialects.llamacpp import LlamaCppCompletion, LlamaCppHealth
from faultmaven.testing.dialects.ollama import (
    OllamaChat,
    OllamaEmbed,
    OllamaGenerate,
    OllamaTags,
    OllamaVersion,
)
from faultmaven.testing.dialects.openai_chat import OpenAIChat, OpenAICompletions
from faultmaven.testing.dialects.openai_responses import OpenAIResponses
from faultmaven.testing.dialects.watsonx import (
    WatsonxChat,
    WatsonxChatStream,
    WatsonxEmbeddings,
    WatsonxModels,
)

if TYPE_CHECKING:
    import re

    from faultmaven.testing.dialects.base import Dialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        AnthropicCountTokens(),
        AnthropicMessages(),
        BedrockConverse(),
        BedrockConverseStream(),
        BedrockInvoke(),
        BedrockInvokeStream(),
        CohereChat(),
        CohereEmbed(),
        GeminiCountTokens(),
        GeminiEmbed(),
        GeminiGenerate(),
        GeminiStream(),
        LlamaCppCompletion(),
        LlamaCppHealth(),
        OllamaChat(),
        OllamaEmbed(),
        OllamaGenerate(),
        OllamaTags(),
        OllamaVersion(),
        OpenAIChat(),
        OpenAICompletions(),
        OpenAIEmbeddings(),
        OpenAIModels(),
        OpenAIResponses(),
        VertexAnthropic(),
        VertexAnthropicCountTokens(),
        VertexAnthropicStream(),
        WatsonxChat(),
        WatsonxChatStream(),
        WatsonxEmbeddings(),
        WatsonxModels(),
    )
}


def find_dialect(method: str, path: str) -> tuple[Dialect, re.Match[str]] | None:
    """Find who answers a path, None for a path that no provider has."""
    for dialect in DIALECTS.values():
        if dialect.method == method and (match := dialect.pattern.fullmatch(path)):
            return dialect, match
    return None
