"""No secret leaves a gateway's process: its output at DEBUG, its files, its arguments, its numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.gateway.processes import serving

CLIENT_KEY = "gk-canary-client-0123456789abcdef"
ADMIN_KEY = "adm-canary-admin-0123456789abcdef"
PROVIDER_KEYS = {
    "OPENAI_API_KEY": "sk-canary-openai-0123456789abcdef",
    "ANTHROPIC_API_KEY": "sk-ant-canary-anthropic-0123456789",
    "GROQ_API_KEY": "gsk_canary_groq_0123456789abcdef",
}
PROMPT = "sk-canary-prompt-0123456789abcdef"
CANARIES = (CLIENT_KEY, ADMIN_KEY, PROMPT, *PROVIDER_KEYS.values())
# These say the key, send it on, or break what carries it.
SPECS = (
    "ok", "auth-echo", "key-in-stream", "redirect:307", "bad-headers", "garbage",
    "status-huge:500:1", "status:503", "hop-headers", "close-mid-body", "wrong-types",
)  # fmt: skip
FRONTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": PROMPT}]},
    "/v1/messages": {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 9},
    "/v1/responses": {"input": PROMPT},
    "/v1/embeddings": {"input": PROMPT},
    "/chat": {"messages": [{"role": "user", "content": PROMPT}]},
}
FILE = f"""
gateway: {{admin_keys: [{ADMIN_KEY}]}}
"""


async def test_no_secret_leaves_the_gateways_process(upstream, tmp_path):
    (tmp_path / "faultmaven.yaml").write_text(FILE)
    bases = {name.replace("_KEY", "_BASE"): upstream.base_url for name in PROVIDER_KEYS}
    variables = {
        **PROVIDER_KEYS,
        **bases,
        "FAULTMAVEN_GATEWAY_KEYS": CLIENT_KEY,
        "FAULTMAVEN_LOG": "debug",
        "CHAT_PROVIDER": "openai",
        "LLM_MAX_RETRIES": "0",
    }
    async with serving(tmp_path, variables) as gateway:
        answers = await ask_everything(gateway.url)
        arguments = await asyncio.to_thread(
            Path(f"/proc/{gateway.process.pid}/cmdline").read_bytes
        )
        await gateway.end()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    stored = b"".join(p.read_bytes() for p in files if p.name != "faultmaven.yaml")
    everything = b"".join(answers) + bytes(gateway.said) + arguments + stored
    assert [canary for canary in CANARIES if canary.encode() in everything] == []
    assert b"DEBUG" in gateway.said
    seen = str([request.headers for request in upstream.requests])
    assert [key for key in PROVIDER_KEYS.values() if key not in seen] == []
    assert CLIENT_KEY not in seen


async def ask_everything(address: str) -> list[bytes]:
    answers = []
    headers = {"Authorization": f"Bearer {CLIENT_KEY}"}
    async with aiohttp.ClientSession() as session:
        for path, body in FRONTS.items():
            for provider in ("openai", "anthropic", "groq"):
                for spec in SPECS:
                    for stream in (False, True):
                        asked = body | {"model": f"{provider}/fm:{spec}", "stream": stream}
                        if path == "/v1/embeddings":
                            asked.pop("stream")
                        async with session.post(
                            address + path, json=asked, headers=headers
                        ) as reply:
                            answers += [await reply.read(), repr(dict(reply.headers)).encode()]
        for path in (
            "/metrics",
            "/health/providers",
            "/health",
            "/openapi.json",
            "/",
            "/v1/models",
        ):
            for key in (ADMIN_KEY, CLIENT_KEY, "wrong-canary"):
                async with session.get(
                    address + path, headers={"Authorization": f"Bearer {key}"}
                ) as reply:
                    answers += [await reply.read(), repr(dict(reply.headers)).encode()]
    return answers
