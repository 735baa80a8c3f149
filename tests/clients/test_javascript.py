"""The JavaScript clients, unmodified, through every dialect."""

from __future__ import annotations

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.node import run_script
from tests.clients.questions import IMAGE_DATA, TWO_CALLS

TEXT = Reply("One two three.", usage=TokenUsage(30, 3))
STRUCTURE = Reply('{"answer": 42}')
# The AI SDK has models of Anthropic's that it does not know call a tool of this name.
STRUCTURE_AS_CALL = Reply(tool_calls=[("json", {"answer": 42})])
TOOLS = [Reply(tool_calls=TWO_CALLS), Reply("Sunny in both.")]
ENDS = ["status:429", Reply("One two", finish_reason="length"), "reset-mid-stream:4", "hold"]


@pytest.fixture
def run(gateway, upstream, model):
    """Run a script with the answers that its cases want, in their order."""

    def start(script, *further, structure=STRUCTURE, **variables):
        upstream.script([TEXT, TEXT, *TOOLS, structure, TEXT, *further, *ENDS])
        return run_script(
            script,
            GATEWAY_URL=gateway.url,
            GATEWAY_KEY=gateway.key,
            MODEL=model,
            IMAGE_DATA=IMAGE_DATA,
            **variables,
        )

    return start


def check(found, upstream, *, stop="length"):
    assert found["plain"] == {"text": "One two three.", "usage": 33}
    assert found["streamed"] == {"text": "One two three.", "usage": 33}
    assert found["tools"] == {"cities": ["Paris", "Oslo"], "text": "Sunny in both."}
    assert found["structure"] == {"answer": 42}
    assert found["image"] == {"text": "One two three."}
    assert any(IMAGE_DATA.encode() in request.body for request in upstream.requests)
    assert found["error"]["status"] == 429, found["error"]
    assert found["stop"] == {"reason": stop}
    assert "error" in found["broken"]
    assert found["left"] == {"text": "object"}
    upstream.when(lambda: len(upstream.abandoned()) == 1).result(timeout=5)


def test_openai(run, upstream):
    found = run("openai.mjs", TEXT, TEXT)

    check(found, upstream)
    assert found["error"]["error"] == "RateLimitError"
    assert found["responses"] == {
        "text": "One two three.",
        "whole": "One two three.",
        "last": "response.completed",
    }


def test_anthropic(run, upstream):
    found = run("anthropic.mjs")

    check(found, upstream, stop="max_tokens")
    assert found["error"]["error"] == "RateLimitError"


@pytest.mark.parametrize(
    ("provider", "structure"),
    [
        pytest.param("anthropic", STRUCTURE_AS_CALL, id="anthropic"),
        pytest.param("openai", STRUCTURE, id="openai"),
        pytest.param("compatible", STRUCTURE, id="compatible"),
    ],
)
def test_ai_sdk(run, upstream, provider, structure):
    check(run("ai.mjs", structure=structure, PROVIDER=provider), upstream)
