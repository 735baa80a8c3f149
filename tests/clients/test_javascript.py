"""The JavaScript clients, unmodified, through every dialect."""

from __future__ import annotations

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.node import run_script
from tests.clients.questions import DOCUMENT_DATA, IMAGE_DATA, TWO_CALLS
from tests.clients.thoughts import THOUGHT, signatures_in, signatures_wanted

TEXT = Reply("One two three.", usage=TokenUsage(30, 3, cache_read_tokens=20))
STRUCTURE = Reply('{"answer": 42}')
# The AI SDK has models of Anthropic's that it does not know call a tool of this name.
STRUCTURE_AS_CALL = Reply(tool_calls=[("json", {"answer": 42})])
SUNNY = Reply("Sunny in both.")
TOOLS = [Reply(tool_calls=TWO_CALLS), SUNNY]
THOUGHTS = [Reply(tool_calls=TWO_CALLS, reasoning=THOUGHT), SUNNY]
ENDS = ["status:429", Reply("One two", finish_reason="length"), "reset-mid-stream:4", "hold"]


@pytest.fixture
def run(gateway, upstream, model):
    """Run a script with the answers that its cases want, in their order."""

    def start(script, *further, structure=STRUCTURE, **variables):
        upstream.script([TEXT, TEXT, *TOOLS, structure, structure, TEXT, *further, *ENDS])
        return run_script(
            script,
            GATEWAY_URL=gateway.url,
            GATEWAY_KEY=gateway.key,
            MODEL=model,
            EMBEDDER="up-chat/fake-model",
            IMAGE_DATA=IMAGE_DATA,
            DOCUMENT_DATA=DOCUMENT_DATA,
            **variables,
        )

    return start


def check(found, upstream, *, stop="length"):
    assert found["plain"] == {"text": "One two three.", "usage": 33, "cached": 20}
    assert found["streamed"] == {"text": "One two three.", "usage": 33, "cached": 20}
    assert found["tools"] == {"cities": ["Paris", "Oslo"], "text": "Sunny in both."}
    assert found["structure"] == {"whole": {"answer": 42}, "streamed": {"answer": 42}}
    assert found["files"] == {"text": "One two three."}
    files = (IMAGE_DATA.encode(), DOCUMENT_DATA.encode())
    assert any(all(file in sent.body for file in files) for sent in upstream.requests)
    assert found["error"]["status"] == 429, found["error"]
    assert found["stop"] == {"reason": stop}
    assert "error" in found["broken"]
    assert found["left"] == {"text": "object"}
    upstream.when(lambda: len(upstream.abandoned()) == 1).result(timeout=60)


def check_thoughts(found, upstream, model):
    assert found["thoughts"] == {"thought": THOUGHT, "text": "Sunny in both."}
    wanted = signatures_wanted(model)
    told = [signatures_in(sent) for sent in upstream.requests if sent.body.count(b"sunny") == 2]
    assert told[1:] == [wanted] * (len(told) - 1)


def check_models(found, model, prefix=""):
    assert f"{prefix}{model}" in found["models"]["names"]
    assert found["models"]["one"] == f"{prefix}{model}"
    assert found["models"].get("paged", found["models"]["names"]) == found["models"]["names"]
    assert found["missing"]["status"] == 404


def test_openai(run, upstream, model):
    found = run("openai.mjs", *THOUGHTS, TEXT, TEXT, *THOUGHTS, TEXT, TEXT)

    check(found, upstream)
    check_thoughts(found, upstream, model)
    check_models(found, model)
    assert found["error"]["error"] == "RateLimitError"
    assert found["missing"]["error"] == "NotFoundError"
    assert found["responses"] == {
        "text": "One two three.",
        "whole": "One two three.",
        "last": "response.completed",
    }
    assert found["response tools"] == {
        "cities": ["Paris", "Oslo"],
        "thought": THOUGHT,
        "text": "Sunny in both.",
    }
    assert found["completions"] == {"text": "One two three.", "whole": "One two three."}
    assert found["vectors"] == {"lengths": [8, 8]}


def test_anthropic(run, upstream, model):
    found = run("anthropic.mjs", *THOUGHTS)

    check(found, upstream, stop="max_tokens")
    check_thoughts(found, upstream, model)
    check_models(found, model)
    assert found["error"]["error"] == "RateLimitError"
    assert found["missing"]["error"] == "NotFoundError"
    assert found["count"]["tokens"] > 0


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_google(run, upstream, model, version):
    found = run("google.mjs", *THOUGHTS, API_VERSION=version)

    check(found, upstream, stop="MAX_TOKENS")
    check_thoughts(found, upstream, model)
    check_models(found, model, "models/")
    assert found["error"]["error"] == "ApiError"
    assert found["vectors"] == {"lengths": [8, 8], "shorter": [5, 5]}
    assert found["count"]["tokens"] > 0


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
