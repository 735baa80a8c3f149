"""`faultmaven providers check`: the twelve points of a good provider, passed or failed."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from faultmaven.cli.complete import provider_names
from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.output import write_json, write_table
from faultmaven.cli.start import start_registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
    from faultmaven.infrastructure.llm.types import LLMResponse

    Check = Callable[["_Subject"], Awaitable[str]]

_FAKE_KEY: Final = "key-for-the-fake-upstream"
_QUESTION: Final = "Say hello in one word."
_LIMIT_S: Final = 30.0

# The dialect of the fake upstream that a class speaks to.
_DIALECTS: Final = {
    "OpenAIProvider": "openai", "LocalProvider": "openai", "MistralProvider": "openai",
    "AnthropicProvider": "anthropic", "GeminiProvider": "gemini", "CohereProvider": "cohere",
    "OllamaProvider": "ollama", "LlamaCppProvider": "llamacpp",
    "OpenAIResponsesProvider": "openai",
}  # fmt: skip
_BY_FORMAT: Final = {"openai_chat": "openai", "anthropic_messages": "anthropic"}


class FailedCheckError(Exception):
    """A point that is not fulfilled; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the result."""

    number: int
    what: str
    ok: bool
    detail: str


@dataclass(slots=True)
class _Subject:
    """What is checked: a provider, and how it answered."""

    name: str
    registry: ProviderRegistry
    row: Mapping[str, Any]
    provider: BaseLLMProvider
    upstream: Any = None
    response: LLMResponse | None = None


@click.command("check")
@click.argument("name", shell_complete=provider_names)
@click.option("--fake", is_flag=True, help="Ask a server of ours instead of the provider: free.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_provider(name: str, fake: bool, as_json: bool) -> int:
    """Check the provider NAME against the twelve points of a good one.

    It is asked for two short answers, which cost what a few tokens cost; with --fake a server on this
    machine is asked, and no key is needed.  Ends with 1 if a point fails.
    """
    registry = start_registry()
    points = asyncio.run(check_all(registry, registry.resolve_name(name), fake=fake))
    if as_json:
        write_json([asdict(point) for point in points])
    else:
        rows = [(p.number, "PASS" if p.ok else "FAIL", p.what, p.detail) for p in points]
        passed = sum(point.ok for point in points)
        write_table(("", "", "point", "detail"), rows, f"{name}: {passed} of {len(points)}")
    return EXIT_OK if all(point.ok for point in points) else EXIT_FAILED


async def check_all(registry: ProviderRegistry, name: str, *, fake: bool) -> list[Point]:
    """Check all points, each by itself.

    Args:
        registry: where the row is.
        name: the row's.
        fake: whether the fake upstream is asked instead of the provider.

    Raises:
        ConfigurationError: there is no such provider that could be built.
    """
    row = registry.get_row(name)
    if not fake:
        subject = _Subject(name, registry, row, registry.get_provider(name))
        return [await _point(n, what, check, subject) for n, (what, check) in _numbered()]
    async with _fake_upstream() as upstream:
        provider = _against(registry, name, row, upstream)
        subject = _Subject(name, registry, row, provider, upstream)
        try:
            return [await _point(n, what, check, subject) for n, (what, check) in _numbered()]
        finally:
            await provider.close()


async def _point(number: int, what: str, check: Check, subject: _Subject) -> Point:
    from faultmaven.infrastructure.llm.errors import LLMError

    try:
        async with asyncio.timeout(_LIMIT_S):
            detail = await check(subject)
    except FailedCheckError as exc:
        return Point(number, what, ok=False, detail=str(exc))
    except LLMError as error:
        return Point(number, what, ok=False, detail=error.message)
    except TimeoutError:
        return Point(number, what, ok=False, detail=f"took longer than {_LIMIT_S:g} s")
    except Exception as exc:  # noqa: BLE001  # a custom class may raise anything
        return Point(number, what, ok=False, detail=f"{type(exc).__name__}: {exc}")
    return Point(number, what, ok=True, detail=detail)


async def _interface(subject: _Subject) -> str:
    provider = subject.provider
    _demand(bool(provider.provider_name), "provider_name is empty")
    _demand(provider.is_available(), "is_available() says no: something is not configured")
    models = provider.get_supported_models()
    _demand(bool(models), "get_supported_models() gives none; set default_model in the row")
    return f"{type(provider).__name__}, {len(models)} models"


async def _authentication(subject: _Subject) -> str:
    if subject.row.get("api_key_var") is None:
        return "needs no key"
    if subject.upstream is not None:
        await _ask(subject)
        sent = subject.upstream.last_request
        keyed = _FAKE_KEY in f"{sent.raw_target} {dict(sent.headers)}"
        _demand(keyed, "the key was in neither header nor address")
        return "the key was sent"
    check = await subject.provider.check_key()
    _demand(check.ok, check.reason)
    return "the key was accepted"


async def _request(subject: _Subject) -> str:
    await _ask(subject)
    if subject.upstream is None:
        return "a question was understood"
    sent = subject.upstream.last_request
    _demand(_QUESTION in sent.body.decode(), "the question was not in the body")
    return f"{sent.method} {sent.path}"


async def _response(subject: _Subject) -> str:
    response = await _ask(subject)
    _demand(bool(response.content.strip()), "the answer has no text")
    _demand(bool(response.model), "the answer names no model")
    counted = response.usage_source == "reported"
    _demand(counted, "no token counts were read; see usage in _transform_response or the dialect")
    return f"{response.input_tokens} + {response.output_tokens} tokens, {response.finish_reason}"


async def _cost(subject: _Subject) -> str:
    response = await _ask(subject)
    model = subject.provider.get_effective_model(None)
    priced = subject.provider.calculate_cost(model, 1_000_000, 0)
    _demand(priced is not None, f"no price is known for {model}; see docs/pricing.md")
    return f"US$ {priced:g} for a million prompt tokens, {response.cost_usd or 0:g} for the answer"


async def _errors(subject: _Subject) -> str:
    from faultmaven.infrastructure.llm.errors import AuthenticationError, LLMError

    if subject.upstream is not None:
        subject.upstream.script(["status:401"])
        try:
            await subject.provider.generate(_QUESTION)
        except AuthenticationError as error:
            return error.message
        problem = "a 401 was no error"
        raise FailedCheckError(problem)
    try:
        await subject.provider.generate(_QUESTION, model="no-such-model-0", max_tokens=1)
    except LLMError as error:
        return f"{type(error).__name__}: {error.message}"
    return "takes any model's name"


async def _streaming(subject: _Subject) -> str:
    chunks = [chunk async for chunk in subject.provider.stream(_QUESTION, max_tokens=200)]
    said = "".join(chunk.text + chunk.reasoning for chunk in chunks)
    _demand(bool(said.strip()), "the stream had no text")
    _demand(chunks[-1].finish_reason is not None, "the last chunk has no finish reason")
    return f"{len(chunks)} chunks"


async def _closing(subject: _Subject) -> str:
    await subject.provider.close()
    await subject.provider.close()
    return "twice"


async def _registered(subject: _Subject) -> str:
    known = subject.registry.get_all_provider_names()
    _demand(subject.name in known, "is in no row")
    return str(subject.registry.get_provider_status()[subject.name]["source"])


async def _configured(subject: _Subject) -> str:
    from faultmaven.infrastructure.llm.providers.row import check_row, missing_variables

    row = dict(subject.row)
    check_row(subject.name, row)
    missing = missing_variables(subject.name, row, subject.registry.settings)
    if subject.upstream is None:
        _demand(not missing, f"set {' and '.join(missing)}")
    return "the row is valid" if missing else "the row is valid, every variable is set"


async def _tested(subject: _Subject) -> str:
    if own := _own_tests(subject.name):
        return own[0]
    is_ours = type(subject.provider).__module__.startswith("faultmaven.")
    remedy = "write a test that subclasses faultmaven.testing.ProviderContract"
    _demand(is_ours, f"there is no test_{subject.name}*.py; {remedy}")
    return f"{type(subject.provider).__name__} is tested by FaultMaven"


def _own_tests(name: str) -> list[str]:
    """Find tests of a provider in the working folder, one folder below, and anywhere in `tests`."""
    pattern = f"test_*{name.replace('-', '_').replace('.', '_')}*.py"
    # Never the whole tree: the working folder may be a home directory.
    return [
        str(path)
        for at in (pattern, f"*/{pattern}", f"tests/**/{pattern}")
        for path in Path().glob(at)
    ]


async def _priced(subject: _Subject) -> str:
    if subject.row.get("local"):
        return "costs nothing"
    from faultmaven.infrastructure.llm.catalog import get_catalog

    model = subject.provider.get_effective_model(None)
    shelf = subject.row.get("catalog") or subject.row.get("base") or subject.name
    info = get_catalog().find(shelf, model)
    _demand(
        info is not None and info.price is not None,
        f"{model} has no price in the catalog {shelf}; see docs/pricing.md",
    )
    price = info.price if info is not None else None
    return f"{price.source if price is not None else ''} {info.as_of if info is not None else ''}"


_POINTS: Final[tuple[tuple[str, Check], ...]] = (
    ("implements the interface", _interface),
    ("authenticates", _authentication),
    ("writes requests", _request),
    ("reads answers", _response),
    ("calculates costs", _cost),
    ("handles errors", _errors),
    ("streams", _streaming),
    ("closes", _closing),
    ("is in the registry", _registered),
    ("is configured", _configured),
    ("is tested", _tested),
    ("has documented prices", _priced),
)


def _numbered() -> Any:
    return enumerate(_POINTS, start=1)


def _demand(fulfilled: bool, problem: str) -> None:
    if not fulfilled:
        raise FailedCheckError(problem)


async def _ask(subject: _Subject) -> LLMResponse:
    """Ask the one question that several points look at."""
    if subject.response is None:
        subject.response = await subject.provider.generate(_QUESTION, max_tokens=200)
    return subject.response


def _fake_upstream() -> Any:
    # By name: the package for tests is above the command line, and only this option needs it.
    return import_module("faultmaven.testing").FakeUpstream()


def _against(
    registry: ProviderRegistry, name: str, row: Mapping[str, Any], upstream: Any
) -> BaseLLMProvider:
    """Build the row's class against the fake upstream."""
    from faultmaven.infrastructure.llm.providers.config import ProviderConfig
    from faultmaven.infrastructure.llm.providers.provider_class import load_provider_class
    from faultmaven.infrastructure.llm.providers.row import models_of

    kind = load_provider_class(name, row["provider_class"], registry.settings.config_folder)
    spoken = str(getattr(kind, "wire_format", ""))
    dialect = _DIALECTS.get(kind.__name__) or _BY_FORMAT.get(spoken, "openai")
    models = models_of(name, row, registry.settings) or ["model-1"]
    needs_key = row.get("api_key_var") is not None
    config = ProviderConfig(
        name=name,
        api_key=_FAKE_KEY if needs_key else None,
        base_url=upstream.base_url_for(dialect),
        models=models,
        max_retries=0,
        row=row,
    )
    return kind(config)
