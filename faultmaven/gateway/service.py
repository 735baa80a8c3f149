"""The minimal service in front of one provider: `/health`, `/models`, `/chat`, `/command`.

The provider is PROVIDER_TYPE's, described by the YAML file that CONFIG_PATH names if it names one, else
CHAT_PROVIDER.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from faultmaven.gateway.body import check_type, parse_object, read_body
from faultmaven.gateway.faults import fault_of, invalid
from faultmaven.gateway.fronts.openai_chat import ChatFront
from faultmaven.gateway.model_call import ModelCall
from faultmaven.gateway.pages import json_answer
from faultmaven.gateway.routes import Route
from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import (
    ConfigurationError,
    LLMError,
    UnknownProviderError,
)
from faultmaven.infrastructure.llm.providers.factory import build_own_provider
from faultmaven.infrastructure.llm.providers.http_provider import HTTPProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faultmaven.gateway.answer import Answer
    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.front import Ask
    from faultmaven.gateway.routes import Visit
    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.types import LLMChunk, LLMResponse

Found = TypeVar("Found")

logger = logging.getLogger("faultmaven.gateway.service")

HEALTH_TIMEOUT_S = 2.0
HEALTH_KEPT_S = 1.0
COMMANDS = {
    "help": "List the commands.",
    "reload": "Read the configuration anew.",
    "set_model": 'Use another model from now on: {"command": "set_model", "model": "…"}.',
    "status": "Say which provider and model answer, and how many requests are being answered.",
}


class Service:
    """Serves one provider simply.

    Args:
        gateway: what knows the providers.
        now: tells monotonic seconds.

    Raises:
        ConfigurationError: what PROVIDER_TYPE or CONFIG_PATH ask for cannot be had.
    """

    def __init__(self, gateway: Gateway, now: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._now = now
        settings = gateway.registry.settings
        self._is_asked_for = bool(settings.config_path or settings.source_of("PROVIDER_TYPE"))
        self._name = _choose_provider(gateway) if self._is_asked_for else None
        self._checked_at = -math.inf
        self._problem = ""
        gateway.when_reloaded.append(self._choose_again)

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths."""
        chat = ModelCall(self._gateway, ServiceFront(self))
        yield "/health", Route({"GET": self.health, "HEAD": self.health}, access="open")
        yield "/models", Route({"GET": self.models})
        yield "/chat", Route({"POST": chat}, front=ServiceFront.name)
        yield "/command", Route({"POST": self.command})

    @property
    def provider_name(self) -> str:
        """The provider that answers.

        Raises:
            ConfigurationError: it cannot be built.
        """
        if self._name is None:
            self._name = _choose_provider(self._gateway)
        return self._name

    def target(self, model: str | None) -> str:
        """Name the provider and the model, as a plan is asked for."""
        chosen = model or self._model
        return f"{self.provider_name}/{chosen}" if chosen else self.provider_name

    async def health(self, visit: Visit) -> Answer:
        """Say who answers and whether it can."""
        try:
            provider = self._provider()
            model = self._model or provider.get_effective_model(None)
            problem = await self._find_problem(provider)
        except LLMError as error:
            return json_answer(
                {"status": "degraded", "provider": error.provider, "model": None},
                visit,
                status=503,
            )
        state = {
            "status": "degraded" if problem else "ok",
            "provider": provider.provider_name,
            "model": model,
        }
        return json_answer(state, visit, status=503 if problem else 200)

    async def models(self, visit: Visit) -> Answer:
        """List the provider's models, the default one marked."""
        provider = _told(self._provider)
        default = self._model or provider.get_effective_model(None)
        listed = [
            {"id": model, "default": model == default}
            for model in dict.fromkeys([default, *provider.get_supported_models()])
        ]
        return json_answer({"models": listed, "default": default}, visit)

    async def command(self, visit: Visit) -> Answer:
        """Do one of `COMMANDS`."""
        check_type(visit.request.headers)
        body = parse_object(await read_body(visit.request))
        name = body.get("command")
        if not isinstance(name, str) or name not in COMMANDS:
            listed = ", ".join(COMMANDS)
            message = f"The commands are {listed}."
            raise invalid(message, "command", "unknown_command")
        if name == "reload":
            return json_answer(await self._reload(), visit)
        if name == "set_model":
            model = body.get("model")
            if not isinstance(model, str) or not model or not model.isprintable():
                message = "model must be the name of a model."
                raise invalid(message, "model")
            self._gateway.say(model.encode())
        if name == "help":
            return json_answer({"commands": COMMANDS}, visit)
        provider = _told(self._provider)
        state = {
            "provider": provider.provider_name,
            "model": self._model or provider.get_effective_model(None),
            "in_flight": self._gateway.meter.in_flight,
        }
        return json_answer(state, visit)

    @property
    def _model(self) -> str | None:
        """The model that `set_model` has chosen, at whichever worker; None for the configured one."""
        said = self._gateway.heard()
        return None if said is None else said.decode()

    def _provider(self) -> BaseLLMProvider:
        return self._gateway.get_provider(self.provider_name)

    async def _reload(self) -> dict[str, Any]:
        reloads = self._gateway.reloads
        if problem := await reloads.reload():
            raise fault_of(ConfigurationError(problem, code="bad_configuration"))
        if reloads.tell_others is not None:
            reloads.tell_others()
        return {"reloaded": True}

    def _choose_again(self) -> None:
        """Choose as the configuration is now; who was chosen before stays where that cannot be."""
        try:
            self._name = _choose_provider(self._gateway) if self._is_asked_for else None
        except ConfigurationError as error:
            logger.warning("the service keeps its provider: %s", error)

    async def _find_problem(self, provider: BaseLLMProvider) -> str:
        """Ask the provider for its list of models, which costs nothing, at most once a second."""
        if not provider.is_available():
            return "not available"
        now = self._now()
        if now - self._checked_at > HEALTH_KEPT_S and _is_asked_freely(provider):
            self._checked_at = now
            earlier, self._problem = self._problem, await _ask_after(provider)
            if self._problem != earlier:
                logger.warning("/health: %s", self._problem or "all is well again")
        return self._problem


class ServiceFront(ChatFront):
    """The service's own chat: `{messages}` in, `{content, model, provider, usage}` out."""

    name = "service_chat"
    wire_format: str | None = None

    def __init__(self, service: Service) -> None:
        self._service = service

    @override
    def read(self, body: dict[str, Any]) -> Ask:
        """Check types; the model may be left out."""
        model = body.get("model")
        if model is not None and not isinstance(model, str):
            message = "model must be the name of a model."
            raise invalid(message, "model")
        named = {**body, "model": _told(lambda: self._service.target(model))}
        ask = super().read(named)
        ask.notes["provider"] = self._service.provider_name
        return ask

    @override
    def write_answer(self, response: LLMResponse, ask: Ask) -> bytes:
        """Write a plain answer."""
        usage = response.usage
        return codec.dumps(
            {
                "content": response.content,
                "model": response.model,
                "provider": ask.notes["provider"],
                "usage": {name: usage[name] for name in _USAGE},
                "finish_reason": response.finish_reason,
                "tool_calls": response.tool_calls,
                "request_id": ask.request_id,
            }
        )

    @override
    def make_encoder(self, ask: Ask, model: str) -> _Encoder:  # type: ignore[override]  # another encoder
        """Make what writes a streamed answer."""
        return _Encoder(ask.notes["provider"], model)


class _Encoder:
    """Writes `data: {"content": "…"}` events, and one with everything else at the end."""

    def __init__(self, provider: str, model: str) -> None:
        self._provider = provider
        self._model = model
        self._last: LLMChunk | None = None

    def encode(self, chunk: LLMChunk) -> bytes:
        """Write one chunk."""
        if chunk.finish_reason or chunk.usage:
            self._last = chunk
        return _data({"content": chunk.text}) if chunk.text else b""

    def end(self) -> bytes:
        """Write the end of a complete answer."""
        usage = self._last.usage if self._last else None
        tokens_in = (usage.input_tokens if usage else None) or 0
        tokens_out = (usage.output_tokens if usage else None) or 0
        end = {
            "done": True,
            "model": self._model,
            "provider": self._provider,
            "finish_reason": self._last.finish_reason if self._last else None,
            "usage": dict(
                zip(_USAGE, (tokens_in, tokens_out, tokens_in + tokens_out), strict=True)
            ),
        }
        return _data(end) + b"data: [DONE]\n\n"


def _choose_provider(gateway: Gateway) -> str:
    """Name the service's provider, built from its own file or class where there is one.

    Raises:
        ConfigurationError: these cannot be used, or nothing has its name.
    """
    registry = gateway.registry
    settings = registry.settings
    try:
        own = build_own_provider(registry.roster)
        if own is not None:
            gateway.add_provider(own.provider_name, own)
            return own.provider_name
        usual = registry.resolve_name(settings.provider_type, "PROVIDER_TYPE")
    except UnknownProviderError as error:
        known = ", ".join(registry.get_all_provider_names())
        message = f"{error.message} PROVIDER_TYPE may be: {known}."
        raise error.with_message(message) from None
    if settings.source_of("PROVIDER_TYPE"):
        return usual
    chosen = registry.resolve_name(settings.chat_provider)
    if settings.source_of("CHAT_PROVIDER") or usual not in registry.get_available_providers():
        return chosen
    return usual


async def _ask_after(provider: BaseLLMProvider) -> str:
    """Give why the provider would not answer, "" where it would."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            check = await provider.check_key()
    except TimeoutError:
        return f"{provider.provider_name} does not answer within {HEALTH_TIMEOUT_S:g} s"
    return "" if check.ok else check.reason


def _is_asked_freely(provider: BaseLLMProvider) -> bool:
    """Tell whether a provider lists its models, so that asking it starts and costs nothing."""
    # With what starts servers of one's own, which few gateways have, it is loaded when it is asked about.
    from faultmaven.infrastructure.llm.providers.embedded_provider import EmbeddedProvider

    if isinstance(provider, EmbeddedProvider) or not isinstance(provider, HTTPProvider):
        return False
    return provider.config.row.get("models_endpoint", {}) is not None


def _told(find: Callable[[], Found]) -> Found:
    """Call, and turn a configuration's error into what the client is told."""
    try:
        return find()
    except LLMError as error:
        raise fault_of(error) from error


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % codec.dumps(value)


_USAGE = ("input_tokens", "output_tokens", "total_tokens")
