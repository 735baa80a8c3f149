"""The real llama.cpp server under the engine's care."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers.engine import LlamaServer


def ask(server: LlamaServer, path: str, body: dict | None = None, api_key: str | None = None):
    key = server.address.api_key if api_key is None else api_key
    request = urllib.request.Request(
        server.address.base_url + path,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def test_engine_answers_in_english(llama_server):
    question = [{"role": "user", "content": "Write one sentence about the sea."}]
    body = {"messages": question, "max_tokens": 32, "temperature": 0}

    answer = ask(llama_server, "/v1/chat/completions", body)

    assert "sea" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == "smollm2-135m"


def test_engine_refuses_who_does_not_have_its_key(llama_server):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(llama_server, "/v1/chat/completions", {"messages": []}, api_key="wrong")


def test_engine_with_the_tool_template_calls_the_tool(llama_tool_server):
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    body = {"messages": question, "tools": [tool], "max_tokens": 64, "temperature": 0}

    answer = ask(llama_tool_server, "/v1/chat/completions", body)

    calls = answer["choices"][0]["message"]["tool_calls"]
    assert calls[0]["function"]["name"] == "get_weather"


def test_engine_with_a_broken_model_names_the_fault(engine_files, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"garbage")
    server = LlamaServer(replace(engine_files, model=broken))

    with pytest.raises(ConfigurationError, match="load") as caught:
        server.start()

    assert str(broken) in caught.value.message
    assert "FAULTMAVEN_GGUF_MODEL" in caught.value.message


def test_engine_frees_its_port_when_stopped(engine_files, llama_server):
    second = LlamaServer(engine_files)
    address = second.start()
    pidfd = os.pidfd_open(second.pid)
    second.stop()
    os.close(pidfd)

    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(address.base_url, timeout=5)
    assert llama_server.address is not None
