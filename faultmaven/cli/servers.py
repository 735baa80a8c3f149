"""Model servers of this machine: where they usually listen, and what they say of themselves.

What a server is follows from its answers, never from its port.  A server that answers otherwise than
it is described here is still found where it lists models in OpenAI's shape.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import LLMConnectionError, LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.http import HTTPTransport, TransportPolicy
from faultmaven.infrastructure.llm.wire.models import model_ids_from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HOST: Final = "127.0.0.1"
PROBE_TIMEOUT_S: Final = 1.0
# Port: who listens there unless told otherwise.
PORTS: Final = {
    1234: "LM Studio",
    1337: "Jan",
    2242: "Aphrodite",
    3000: "TGI, Open WebUI",
    4000: "LiteLLM",
    4891: "GPT4All",
    5000: "text-generation-webui, TabbyAPI",
    5001: "KoboldCpp",
    5273: "Foundry Local",
    7997: "Infinity",
    8000: "vLLM, TensorRT-LLM, Lemonade",
    8080: "llama.cpp, LocalAI, TGI",
    8081: "llama.cpp",
    9997: "Xinference",
    11434: "Ollama",
    12434: "Docker Model Runner",
    13305: "Lemonade",
    30000: "SGLang",
    52415: "exo",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered.

    Attributes:
        product: what it is.
        row: the name of the row made for it; "" for none.
        url: scheme, host and port.
        models: what it offers.
        needs_key: whether it refused to list its models without a key.
    """

    product: str
    row: str
    url: str
    models: tuple[str, ...] = ()
    needs_key: bool = False


@dataclass(frozen=True, slots=True)
class _Sign:
    """What gives a product away: a path, and what its JSON answer must look like."""

    product: str
    row: str
    path: str
    fits: Callable[[Mapping[str, Any]], bool]


def _has(*fields: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda answer: all(field in answer for field in fields)


def _owned_by(*owners: str) -> Callable[[Mapping[str, Any]], bool]:
    def fits(answer: Mapping[str, Any]) -> bool:
        listed = answer.get("data")
        if not isinstance(listed, list):
            return False
        return any(
            isinstance(m, dict) and str(m.get("owned_by")).lower() in owners for m in listed
        )

    return fits


def _is_lm_studio(answer: Mapping[str, Any]) -> bool:
    listed = answer.get("data")
    return isinstance(listed, list) and all(
        isinstance(m, dict) and "compatibility_type" in m for m in listed
    )


def _is_kobold(answer: Mapping[str, Any]) -> bool:
    return answer.get("result") == "KoboldCpp"


# In this order: the surest first, lists of models that only name an owner last.
_SIGNS: Final = (
    _Sign("llama.cpp", "llamacpp", "/props", _has("default_generation_settings")),
    _Sign("LM Studio", "lm_studio", "/api/v0/models", _is_lm_studio),
    _Sign("KoboldCpp", "koboldcpp", "/api/extra/version", _is_kobold),
    _Sign("TGI", "tgi", "/info", _has("model_id", "version")),
    _Sign("SGLang", "sglang", "/get_model_info", _has("model_path")),
    _Sign("text-generation-webui", "text_generation_webui", "/v1/internal/model/info", _has("model_name")),
    _Sign("vLLM", "vllm", "/v1/models", _owned_by("vllm")),
    _Sign("SGLang", "sglang", "/v1/models", _owned_by("sglang")),
    _Sign("llama.cpp", "llamacpp", "/v1/models", _owned_by("llamacpp")),
    _Sign("Ollama", "ollama", "/v1/models", _owned_by("library")),
    _Sign("TabbyAPI", "tabbyapi", "/v1/models", _owned_by("tabbyapi")),
    _Sign("LocalAI", "localai", "/system", _has("backends")),
    _Sign("Ollama", "ollama", "/api/version", _has("version")),
)  # fmt: skip
_OTHER: Final = "OpenAI-compatible server"


async def find_servers(ports: Iterable[int]) -> list[Server]:
    """Ask the ports of this machine, all at once; give the servers found, by port."""
    policy = TransportPolicy(connect_timeout_s=PROBE_TIMEOUT_S)
    transport = HTTPTransport("discover", policy)
    try:
        found = await asyncio.gather(*(_look(transport, port) for port in ports))
    finally:
        await transport.close()
    return [server for server in found if server is not None]


async def _look(transport: HTTPTransport, port: int) -> Server | None:
    """Ask one port what it is; None where nothing that serves models answers."""
    url = f"http://{HOST}:{port}"
    answers = _Answers(transport, url)
    if not await answers.is_there():
        return None
    models, needs_key = await answers.models()
    for sign in _SIGNS:
        answer = await answers.get(sign.path)
        if answer is not None and sign.fits(answer):
            return Server(sign.product, sign.row, url, models, needs_key)
    return Server(_OTHER, "", url, models, needs_key) if models or needs_key else None


class _Answers:
    """What a server said, each path asked once."""

    def __init__(self, transport: HTTPTransport, url: str) -> None:
        self._transport = transport
        self._url = url
        self._known: dict[str, tuple[int, dict[str, Any] | None]] = {}

    async def is_there(self) -> bool:
        try:
            await self._ask("/v1/models")
        except LLMConnectionError:
            return False
        return True

    async def get(self, path: str) -> dict[str, Any] | None:
        """Give the JSON object at a path, None where there is none."""
        try:
            return (await self._ask(path))[1]
        except LLMConnectionError:
            return None

    async def models(self) -> tuple[tuple[str, ...], bool]:
        """Give the models listed, and whether a key is wanted for that."""
        status, answer = await self._ask("/v1/models")
        try:
            return tuple(model_ids_from_wire(answer or {})), status in (401, 403)
        except ResponseFormatError:
            return (), status in (401, 403)

    async def _ask(self, path: str) -> tuple[int, dict[str, Any] | None]:
        if path not in self._known:
            self._known[path] = await self._fetch(path)
        return self._known[path]

    async def _fetch(self, path: str) -> tuple[int, dict[str, Any] | None]:
        try:
            reply = await self._transport.fetch(
                "GET", f"{self._url}{path}", {}, None, timeout_s=PROBE_TIMEOUT_S
            )
            answer = codec.loads(reply.body) if reply.status == 200 else None
        except LLMConnectionError:
            raise
        except (LLMError, ValueError):
            return 0, None
        return reply.status, answer if isinstance(answer, dict) else None
