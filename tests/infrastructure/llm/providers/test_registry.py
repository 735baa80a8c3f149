"""The registry: which row counts, which instance answers, and who takes over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.providers import (
    PROVIDER_SCHEMA,
    BaseLLMProvider,
    LLMResponse,
    OpenAIProvider,
    ProviderRegistry,
    create_provider,
    get_registry,
    reset_registry,
)
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.infrastructure.llm.types import LLMChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.usefixtures("project")

ROW: dict[str, Any] = {
    "default_base_url": "https://a.example/v1", "default_model": "m", "api_key_var": None,
}  # fmt: skip


class FakeProvider(BaseLLMProvider):
    """Does what the `extra` of its row says."""

    @property
    @override
    def provider_name(self) -> str:
        return self.config.name

    @override
    def is_available(self) -> bool:
        return True

    @override
    def get_supported_models(self) -> list[str]:
        return self.config.models.copy()

    def _act(self) -> None:
        failure = self.config.row["extra"].get("raises")
        if failure is not None:
            raise failure

    @override
    async def generate(self, prompt: Any, model: Any = None, *a: Any, **kw: Any) -> LLMResponse:
        await asyncio.sleep(self.config.row["extra"].get("hangs_s", 0))
        self._act()
        score = self.config.confidence_score
        return LLMResponse("hi", score, self.provider_name, model or self.config.models[0], 2, 1)

    @override
    async def stream(
        self, prompt: Any, model: Any = None, *a: Any, **kw: Any
    ) -> AsyncGenerator[LLMChunk]:
        if not self.config.row["extra"].get("late"):
            self._act()
        yield LLMChunk(text=self.provider_name)
        self._act()
        yield LLMChunk(finish_reason="stop")


def fake(**extra: Any) -> dict[str, Any]:
    score = extra.pop("score", 0.8)
    return ROW | {"provider_class": FakeProvider, "extra": extra, "confidence_score": score}


def chained(*names: str, **more: Any) -> ProviderRegistry:
    return ProviderRegistry(
        load_settings(chat_provider=names[0], fallback_providers=names[1:], **more)
    )


def test_a_row_pasted_from_the_guide_works(monkeypatch: pytest.MonkeyPatch) -> None:
    PROVIDER_SCHEMA["anthropic"] = {
        "api_key_var": "ANTHROPIC_API_KEY",
        "model_var": "ANTHROPIC_MODEL",
        "base_url_var": "ANTHROPIC_API_BASE",
        "default_base_url": "https://api.anthropic.com/v1",
        "default_model": "claude-3-opus",
        "provider_class": OpenAIProvider,
        "max_retries": 3,
        "timeout": 30,
        "confidence_score": 0.85,
    }
    monkeypatch.setenv("ANTHROPIC_API_KEY", "your-anthropic-api-key")
    monkeypatch.setenv("CHAT_PROVIDER", "anthropic")
    provider = get_registry().get_provider()

    assert type(provider) is OpenAIProvider
    assert provider.config.max_retries == 3
    assert provider.config.timeout == 30
    assert provider.config.confidence_score == 0.85
    assert provider.config.models == ["claude-3-opus"]


def test_the_guides_inspection_is_light(tmp_path: Path) -> None:
    code = (
        "from faultmaven.infrastructure.llm.providers import get_registry\n"
        "assert 'anthropic' in get_registry().get_all_provider_names()\n"
        "import sys; print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[4])},
    )  # fmt: skip

    assert not {"aiohttp", "jsonschema", "pydantic", "yaml", "asyncio"} & set(run.stdout.split())


def test_names_include_unconfigured_and_available_do_not() -> None:
    registry = get_registry()

    assert get_registry() is registry
    assert "groq" in registry.get_all_provider_names()
    assert "groq" not in registry.get_available_providers()
    assert "echo" in registry.get_available_providers()


@pytest.mark.parametrize(
    ("variables", "is_available"),
    [
        ({}, False),
        ({"FASTCHAT_API_BASE": "http://127.0.0.1:9/v1"}, True),
        ({"FASTCHAT_MODEL": "m"}, True),
        ({"CHAT_PROVIDER": "fastchat"}, True),
        ({"CODE_PROVIDER": "fastchat"}, True),
        ({"FALLBACK_PROVIDERS": "echo,fastchat"}, True),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else None,
)
def test_server_of_the_users_is_available_only_where_it_was_set_up(
    variables: dict[str, str], is_available: bool
) -> None:
    registry = ProviderRegistry(load_settings(**variables))

    assert ("fastchat" in registry.get_available_providers()) is is_available
    assert registry.get_provider("fastchat").is_available()


def test_status_calls_a_server_configured_that_nobody_set_up() -> None:
    registry = get_registry()
    status = registry.get_provider_status()
    configured = {name for name, told in status.items() if told["configured"]}
    available = set(registry.get_available_providers())

    assert available <= configured
    assert "ollama" in configured - available
    assert all(status[name]["local"] for name in configured - available)


def test_a_row_that_changes_itself_keeps_its_aliases(tmp_path: Path) -> None:
    name, alias = next((n, r["aliases"][0]) for n, r in BUILTIN_ROWS.items() if r.get("aliases"))
    file = tmp_path / "faultmaven.yaml"
    file.write_text(f"providers:\n  {name}: {{ base: {name}, timeout: 7 }}\n", encoding="utf-8")
    registry = ProviderRegistry(load_settings(faultmaven_config=str(file)))

    assert registry.get_row(alias)["timeout"] == 7
    assert registry.get_aliases()[alias] == [name]


def test_a_row_that_changes_its_aliases_has_the_new_ones(tmp_path: Path) -> None:
    name, alias = next((n, r["aliases"][0]) for n, r in BUILTIN_ROWS.items() if r.get("aliases"))
    file = tmp_path / "faultmaven.yaml"
    file.write_text(
        f"providers:\n  {name}: {{ base: {name}, aliases: [mine] }}\n", encoding="utf-8"
    )
    registry = ProviderRegistry(load_settings(faultmaven_config=str(file)))

    assert registry.resolve_name("mine") == name
    assert alias not in registry.get_aliases()


def test_server_named_by_an_alias_is_available() -> None:
    registry = ProviderRegistry(load_settings())
    name, alias = next(
        (name, row["aliases"][0])
        for name in registry.get_all_provider_names()
        if (row := registry.get_row(name)).get("aliases")
        and row.get("local")
        and row.get("default_base_url")
    )

    chosen = ProviderRegistry(load_settings(CHAT_PROVIDER=alias))

    assert name not in registry.get_available_providers()
    assert name in chosen.get_available_providers()


def test_nobodys_server_is_available_and_what_needs_none_is() -> None:
    assert set(ProviderRegistry(load_settings()).get_available_providers()) >= {"echo", "embedded"}


def test_local_row_of_the_users_own_is_always_available() -> None:
    registry = ProviderRegistry(load_settings())

    registry.register(
        "mine", {"default_base_url": "http://127.0.0.1:9/v1", "api_key_var": None, "local": True}
    )
    registry.register("fastchat", {"base": "fastchat", "default_model": "m"})

    assert {"mine", "fastchat"} <= set(registry.get_available_providers())


def test_a_row_that_is_unregistered_is_nobodys() -> None:
    registry = get_registry()
    registry.register("acme", ROW)

    registry.unregister("acme")

    assert "acme" not in registry.get_all_provider_names()
    with pytest.raises(errors.UnknownProviderError, match="acme"):
        registry.unregister("acme")


def test_the_embedded_provider_answers_where_nothing_is_set() -> None:
    assert get_registry().get_fallback_chain() == ["embedded"]


def test_a_set_row_is_seen_at_once_and_its_change_too() -> None:
    registry = get_registry()
    PROVIDER_SCHEMA["acme"] = ROW
    first = registry.get_provider("acme")
    PROVIDER_SCHEMA["acme"]["timeout"] = 5

    assert registry.get_provider("acme").config.timeout == 5
    assert registry.get_provider("acme") is not first
    del PROVIDER_SCHEMA["acme"]
    with pytest.raises(errors.UnknownProviderError):
        registry.get_provider("acme")


def test_a_bad_row_registers_nothing() -> None:
    with pytest.raises(errors.ConfigurationError, match="Did you mean default_model"):
        PROVIDER_SCHEMA.update({"good": ROW, "bad": {"defualt_model": "m"}})

    assert "good" not in PROVIDER_SCHEMA
    with pytest.raises(errors.ConfigurationError):
        PROVIDER_SCHEMA["groq"]["timeout"] = 0
    assert "timeout" not in PROVIDER_SCHEMA["groq"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Groq", "Write 'groq'"),
        ("GROQ", "Write 'groq'"),
        ("gorq", "Did you mean groq"),
        ("zzzz", "lists them"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, hint: str) -> None:
    with pytest.raises(errors.UnknownProviderError, match=hint):
        get_registry().get_provider(name)


def test_an_unknown_chat_provider_names_its_line(project: Path) -> None:
    (project / ".env").write_text("A=1\nCHAT_PROVIDER=gorq\n")

    with pytest.raises(errors.UnknownProviderError, match=r"CHAT_PROVIDER \(.*\.env:2\).*groq"):
        get_registry().get_provider()


def test_an_alias_means_its_row() -> None:
    assert get_registry().resolve_name("together_ai") == "together"


def test_roles_fall_back_to_the_chat_provider() -> None:
    registry = chained("echo", synthesis_provider="local")

    assert registry.get_provider(role="synthesis").config.name == "local"
    assert registry.get_provider(role="code") is registry.get_provider()
    with pytest.raises(errors.ConfigurationError, match="Did you mean synthesis"):
        registry.get_provider(role="sythesis")


@pytest.mark.parametrize("status", ["retired", "disabled"])
def test_a_row_that_is_not_in_use_refuses_with_its_reason(status: str) -> None:
    PROVIDER_SCHEMA["acme"] = ROW | {"status": status, "status_reason": "It closed in May."}
    registry = get_registry()

    with pytest.raises(errors.ConfigurationError, match="It closed in May"):
        registry.get_provider("acme")
    assert "acme" not in registry.get_available_providers()


def test_a_provider_may_be_described_by_variables_alone() -> None:
    registry = ProviderRegistry(
        load_settings(
            FAULTMAVEN_PROVIDERS="acme", ACME_API_BASE="https://a.example/v1", ACME_API_KEY="canary-1",
            ACME_MODEL="m",
        )
    )  # fmt: skip

    assert "acme" in registry.get_available_providers()
    assert registry.get_provider("acme").config.models == ["m"]
    assert registry.get_provider_status()["acme"]["source"] == "FAULTMAVEN_PROVIDERS"


def test_rows_of_the_file_win_over_the_table(project: Path) -> None:
    (project / "faultmaven.yaml").write_text(
        "providers:\n  local: {base: local, timeout: 7}\n  mine: {base: local, default_model: x}\n"
    )
    registry = get_registry()

    assert registry.get_provider("local").config.timeout == 7
    assert registry.get_row("local")["model_var"] == "LOCAL_LLM_MODEL"
    assert registry.get_provider("mine").config.models == ["x"]
    assert registry.get_provider_status()["mine"]["source"] == f"{project}/faultmaven.yaml:3"


def test_a_bad_file_stops_the_start_and_a_bad_reload_changes_nothing(project: Path) -> None:
    path = project / "faultmaven.yaml"
    path.write_text("providers: {mine: {base: local}}\n")
    registry = get_registry()
    path.write_text("providers: {mine: {timeout: 0}}\n")

    with pytest.raises(
        errors.ConfigurationError, match=r"faultmaven.yaml:1: providers.mine.timeout"
    ):
        registry.reload()
    assert "mine" in registry.get_all_provider_names()
    path.write_text("providers: {yours: {base: local}}\n")
    registry.reload()
    assert "yours" in registry.get_all_provider_names()
    assert "mine" not in registry.get_all_provider_names()
    path.write_text("rutes: 1\n")
    reset_registry()
    with pytest.raises(errors.ConfigurationError, match="routes"):
        get_registry()


@pytest.mark.parametrize(
    ("variable", "said"),
    [("CHAT_PROVIDER", "CHAT_PROVIDER"), ("FALLBACK_PROVIDERS", "FALLBACK"), ("CODE_PROVIDER", "CODE")],
)  # fmt: skip
def test_a_reload_that_chooses_nobody_changes_nothing(
    variable: str, said: str, project: Path
) -> None:
    registry = get_registry()
    settings = registry.settings
    (project / ".env").write_text(f"{variable}=nobody\n")

    with pytest.raises(errors.UnknownProviderError, match=said):
        registry.reload()
    assert registry.settings is settings


async def test_what_a_reload_replaced_is_given_once_to_be_closed(project: Path) -> None:
    (project / ".env").write_text("CHAT_PROVIDER=local\n")
    registry = get_registry()
    first = registry.get_provider("local")
    registry.reload()

    assert registry.get_provider("local") is not first
    assert registry.take_outdated() == [first]
    assert registry.take_outdated() == []


@pytest.mark.parametrize(
    "rows",
    [{"a": {"base": "a"}}, {"a": {"base": "b"}, "b": {"base": "a"}}, {"a": {"base": "nobody"}}],
)
def test_bases_in_a_circle_are_refused(rows: dict[str, Any]) -> None:
    PROVIDER_SCHEMA.update(rows)
    registry = get_registry()

    with pytest.raises(errors.ConfigurationError, match=r"\['base'\]"):
        registry.get_provider("a")
    assert "base" in registry.get_provider_status()["a"]["problem"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("OpenAiProvider", "Did you mean OpenAIProvider"),
        ("Nonsense", "Known are"),
        ("no_such_package.here:X", "no module no_such_package"),
        ("json:Missing", "json has no Missing"),
        ("json:JSONDecoder", "not a subclass of BaseLLMProvider"),
        ("os:system", "not a subclass"),
        (dict, "not a subclass"),
    ],
)
def test_a_class_that_is_none_is_refused(given: Any, said: str) -> None:
    PROVIDER_SCHEMA["acme"] = ROW | {"provider_class": given}

    with pytest.raises(errors.ConfigurationError, match=said):
        get_registry().get_provider("acme")


def test_the_status_tells_all_but_keys() -> None:
    registry = ProviderRegistry(load_settings(GROQ_API_KEY="canary-key", GROQ_MODEL="m"))
    status = registry.get_provider_status()

    assert status["groq"]["configured"]
    assert status["groq"]["model"] == "m"
    assert status["openai"]["missing"] == ["OPENAI_API_KEY"]
    assert "canary-key" not in repr(status)


def test_the_status_of_some_is_theirs_of_all() -> None:
    registry = ProviderRegistry(load_settings(GROQ_API_KEY="k"))
    every = registry.get_provider_status()

    assert registry.get_provider_status(["groq", "openai"]) == {
        name: every[name] for name in ("groq", "openai")
    }
    assert registry.get_provider_status([]) == {}


def test_one_instance_for_all_threads() -> None:
    PROVIDER_SCHEMA["acme"] = fake()
    registry = get_registry()
    gate = threading.Barrier(8)

    def ask(_: int) -> int:
        gate.wait()
        return id(registry.get_provider("acme"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


async def test_the_next_provider_answers_where_one_fails() -> None:
    PROVIDER_SCHEMA.update(
        {
            "a": fake(raises=errors.ServerError("broken", status=500)),
            "b": fake(raises=KeyError("x")),
            "c": fake(),
        }
    )
    response = await chained("a", "groq", "b", "c").route_request("Hello")

    assert response.provider == "c"
    assert response.route is not None
    assert response.route.rule == "fallback"
    assert [(t.provider, t.outcome) for t in response.route.attempts] == [
        ("a", "ServerError"), ("groq", "ProviderNotConfiguredError"), ("b", "ResponseFormatError"), ("c", "ok"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequestError("bad"),
        errors.ContextLengthError("long"),
        errors.ContentFilterError("no"),
    ],
)
async def test_a_callers_error_is_not_repeated_elsewhere(error: errors.LLMError) -> None:
    PROVIDER_SCHEMA.update({"a": fake(raises=error), "b": fake()})

    with pytest.raises(type(error)):
        await chained("a", "b").route_request("Hello")


async def test_a_missing_model_is_final_only_where_the_caller_named_it() -> None:
    PROVIDER_SCHEMA.update({"a": fake(raises=errors.ModelNotFoundError("none")), "b": fake()})
    registry = chained("a", "b")

    assert (await registry.route_request("Hello")).provider == "b"
    with pytest.raises(errors.ModelNotFoundError):
        await registry.route_request("Hello", model="mine")


async def test_strict_mode_asks_only_the_first() -> None:
    PROVIDER_SCHEMA.update({"a": fake(raises=errors.ServerError("broken")), "b": fake()})

    with pytest.raises(errors.ServerError) as caught:
        await chained("a", "b", strict_provider_mode=True).route_request("Hello")
    assert [t.provider for t in caught.value.attempts] == ["a"]


async def test_all_failures_are_told_together() -> None:
    PROVIDER_SCHEMA.update(
        {"a": fake(raises=errors.ServerError("one")), "b": fake(raises=OSError("two"))}
    )

    with pytest.raises(errors.AllProvidersFailedError, match="one") as caught:
        await chained("a", "b").route_request("Hello")

    assert [t.outcome for t in caught.value.attempts] == ["ServerError", "LLMConnectionError"]
    assert "two" in str(caught.value)


async def test_a_doubtful_answer_is_kept_as_the_best_so_far() -> None:
    PROVIDER_SCHEMA.update(
        {"a": fake(score=0.4), "b": fake(score=0.2), "c": fake(raises=errors.ServerError("x"))}
    )
    response = await chained("a", "b", "c").route_request("Hello", confidence_threshold=0.9)

    assert response.provider == "a"


async def test_one_deadline_holds_for_the_chain() -> None:
    PROVIDER_SCHEMA.update({"a": fake(hangs_s=30), "b": fake(hangs_s=30)})

    with pytest.raises(errors.LLMTimeoutError, match=r"within the call's 0.05 s"):
        await chained("a", "b").route_request("Hello", timeout=0.05)


async def test_a_stream_changes_provider_before_its_first_piece_only() -> None:
    broken = errors.ServerError("broken")
    PROVIDER_SCHEMA.update(
        {"a": fake(raises=broken), "b": fake(), "late": fake(raises=broken, late=True)}
    )
    texts = [chunk.text async for chunk in chained("a", "b").stream_route("Hello")]
    assert texts == ["b", ""]

    got = []
    with pytest.raises(errors.ServerError):  # noqa: PT012 - what came before the error counts
        async for chunk in chained("late", "b").stream_route("Hello"):
            got.append(chunk.text)  # noqa: PERF401 - what came before the error counts
    assert got == ["late"]


def test_instances_serve_several_loops() -> None:
    PROVIDER_SCHEMA["a"] = fake()
    registry = chained("a")

    assert [asyncio.run(registry.route_request("Hello")).content for _ in range(3)] == ["hi"] * 3


async def test_closing_closes_what_was_built() -> None:
    PROVIDER_SCHEMA["a"] = fake()
    async with chained("a") as registry:
        first = registry.get_provider()
    assert registry.get_provider() is not first
    await registry.close()


def test_a_provider_may_be_built_from_its_own_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROVIDER_TYPE", "ollama")
    provider = create_provider(
        {
            "api_base": "http://ollama:11434",
            "default_model": "llama3.2",
            "models": ["llama3.2", "b"],
        }
    )
    assert type(provider).__name__ == "OllamaProvider"
    assert provider.config["api_base"] == "http://ollama:11434"
    assert provider.get_supported_models() == ["llama3.2", "b"]
    assert create_provider({"api_key": "canary-key"}, "groq").config.api_key == "canary-key"
    with pytest.raises(errors.UnknownProviderError):
        create_provider({}, "nobody")
    with pytest.raises(errors.ConfigurationError, match=r"'colour'.*unknown field"):
        create_provider({"colour": 1}, "echo")


def test_a_provider_may_be_built_from_its_name_and_key() -> None:
    provider = create_provider("groq", "canary-key", timeout=20, base_url="https://proxy.test/v1")

    assert (provider.provider_name, provider.config.api_key) == ("groq", "canary-key")
    assert (provider.config.timeout, provider.config.base_url) == (20, "https://proxy.test/v1")
    assert create_provider("echo").provider_name == "echo"
    with pytest.raises(errors.UnknownProviderError, match="Write 'groq'"):
        create_provider("Groq", "canary-key")


OWN_CLASS = """
from faultmaven.infrastructure.llm.providers import HTTPProvider

class Shared(HTTPProvider):
    def _transform_request(self, request):
        return {}
    def _transform_response(self, data):
        raise NotImplementedError

class HouseOwnProvider(Shared):
    pass
"""


@pytest.mark.parametrize("folder", ["config", "."], ids=["beside CONFIG_PATH", "here"])
def test_a_class_that_lies_there_as_a_file_needs_no_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    name = f"house-own{len(folder)}"  # a module is imported once
    (tmp_path / "config").mkdir()
    (tmp_path / folder / f"house_own{len(folder)}_provider.py").write_text(
        OWN_CLASS.replace("HouseOwn", f"HouseOwn{len(folder)}")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("CONFIG_PATH", "config/own.yaml")
    monkeypatch.setenv("PROVIDER_TYPE", name)

    provider = create_provider({"api_base": "https://own.test/v1", "default_model": "m"})

    assert type(provider).__name__ == f"HouseOwn{len(folder)}Provider"
    assert (provider.provider_name, provider.get_models()) == (name, ["m"])
    assert provider.is_available()  # whether it needs a key is its own affair


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "must define one subclass .* It defines none"),
        ("def broken(:\n", r"is not Python: .*broken_file_provider\.py:1"),
        ("raise RuntimeError('no luck')\n", "cannot be imported: RuntimeError: no luck"),
        ("import nowhere_at_all\n", "needs nowhere_at_all, which is not installed"),
        (OWN_CLASS, "It defines Shared, HouseOwnProvider"),
        (
            OWN_CLASS.replace("Shared", "BrokenFileProvider").replace("def", "async def"),
            "_transform_request, _transform_response of BrokenFileProvider must be `def`",
        ),
    ],
    ids=["no class", "no Python", "raises", "lacks a package", "two classes", "awaited"],
)
def test_a_file_that_holds_no_class_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "broken_file_provider.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "broken_file_provider", raising=False)

    with pytest.raises(errors.ConfigurationError, match=said):
        create_provider({"api_base": "https://own.test/v1"}, "broken_file")


def test_a_providers_own_configuration_may_state_any_field_of_a_row() -> None:
    given = {
        "api_base": "https://own.test/v1",
        "default_model": "",
        "models": ["m"],
        "provider_class": "OllamaProvider",
        "display_name": "Ours",
        "headers": {"x-team": "a"},
    }
    provider = create_provider(given, "openai_compatible")

    assert type(provider).__name__ == "OllamaProvider"
    assert provider.config.row["display_name"] == "Ours"
    assert create_provider({"base": "echo"}).provider_name == "echo"


def test_an_unknown_name_without_near_ones_is_answered_with_the_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHAT_PROVIDER", "zzzz")
    monkeypatch.setenv("GROQ_API_KEY", "canary-key")

    with pytest.raises(
        errors.UnknownProviderError, match=r"CHAT_PROVIDER .*Configured are groq, "
    ):
        get_registry().get_provider()


def test_a_row_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="acme"):
        get_registry().register("acme", [1])  # type: ignore[arg-type]
    assert "acme" not in PROVIDER_SCHEMA


def test_a_mistyped_base_is_answered_with_a_near_one() -> None:
    PROVIDER_SCHEMA["acme"] = {"base": "opnai"}

    with pytest.raises(errors.ConfigurationError, match="Did you mean openai"):
        get_registry().get_provider("acme")


class KeyedProvider(OpenAIProvider):
    """Built by its users, with a key alone."""

    def __init__(self, api_key: str) -> None:
        super().__init__(api_key=api_key, base_url="https://keyed.test/v1")


def test_a_class_that_takes_a_key_alone_is_refused_with_what_it_is_given() -> None:
    row = {"default_base_url": "https://keyed.test/v1", "default_model": "m", "api_key_var": None}
    PROVIDER_SCHEMA["keyed"] = {**row, "provider_class": KeyedProvider}

    with pytest.raises(errors.ConfigurationError, match="one argument: its ProviderConfig"):
        get_registry().get_provider("keyed")


@pytest.mark.parametrize("prompt", [None, 5, b"text", [1], {"role": "user", "content": "Hi"}])
async def test_a_prompt_of_another_type_is_refused(prompt: Any) -> None:
    with pytest.raises(errors.InvalidRequestError, match="list of messages"):
        await get_registry().get_provider("echo").generate(prompt)
