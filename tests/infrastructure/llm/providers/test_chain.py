"""Who is asked next, and who is left out: the SDK's fallback chain and its circuits."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm import errors
from faultmaven.infrastructure.llm.health import CircuitPolicy, Circuits
from faultmaven.infrastructure.llm.providers import (
    BaseLLMProvider,
    LLMResponse,
    OpenAIProvider,
    ProviderRegistry,
)
from faultmaven.infrastructure.llm.providers.chain import Chain, take_turn
from faultmaven.infrastructure.llm.providers.sources import ProviderSchema
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.types import LLMChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from faultmaven.testing import FakeUpstream

KEYS = {"ONE_KEY": "sk-one-0123456789", "TWO_KEY": "sk-two-0123456789"}


class InstantProvider(OpenAIProvider):
    """Waits between tries take no time."""

    @override
    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, clock=FakeClock(), **settings)


class PlainProvider(BaseLLMProvider):
    """Somebody's own class, which knows nothing of circuits; `fails` says how it is."""

    fails: BaseException | None = None
    fails_late = False
    calls = 0

    @property
    @override
    def provider_name(self) -> str:
        return "a name of its own"

    @override
    def is_available(self) -> bool:
        return True

    @override
    def get_supported_models(self) -> list[str]:
        return ["m"]

    @override
    async def generate(self, prompt: Any, *args: Any, **kwargs: Any) -> LLMResponse:
        type(self).calls += 1
        if self.fails is not None:
            raise self.fails
        return LLMResponse("hi", 0.8, "plain", "m", 2, 1)

    @override
    async def stream(self, prompt: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[LLMChunk]:
        if not self.fails_late:
            await self.generate(prompt)
        yield LLMChunk(text="hi")
        if self.fails is not None:
            raise self.fails
        yield LLMChunk(finish_reason="stop")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def registry(
    upstream: FakeUpstream, clock: FakeClock, project: Path
) -> AsyncIterator[ProviderRegistry]:
    """Give a registry with the chain a, b, c and, aside, keyed and plain."""
    row = {
        "default_base_url": upstream.base_url, "api_key_var": None, "default_model": "m",
        "provider_class": InstantProvider, "local": True, "max_retries": 2,
    }  # fmt: skip
    keyed = row | {"api_key_var": ["ONE_KEY", "TWO_KEY", "THREE_KEY"]}
    plain = type("PlainProvider", (PlainProvider,), {})
    schema = ProviderSchema(
        {
            **dict.fromkeys("abc", row),
            "keyed": keyed,
            "plain": row | {"provider_class": plain},
        },
        {},
    )
    settings = load_settings(CHAT_PROVIDER="a", FALLBACK_PROVIDERS="b,c", **KEYS)
    made = ProviderRegistry(settings, schema)
    made.circuits = Circuits(now=clock.monotonic, draw=lambda: 0.5)
    async with made:
        yield made


def chain_of(registry: ProviderRegistry, *names: str) -> None:
    registry.reload(
        load_settings(CHAT_PROVIDER=names[0], FALLBACK_PROVIDERS=",".join(names[1:]), **KEYS)
    )


def state_of(registry: ProviderRegistry, name: str) -> str:
    return registry.circuits.find(name, "m").show().state


async def break_circuit(
    registry: ProviderRegistry, upstream: FakeUpstream, name: str = "a"
) -> None:
    upstream.mode("status:500")
    provider = registry.get_provider(name)
    for _ in range(2):
        with pytest.raises(errors.ServerError):
            await provider.generate("Hello")
    upstream.mode(None)
    assert state_of(registry, name) == "open"


async def test_an_open_circuit_is_skipped_and_stands_on_the_receipt(registry, upstream):
    await break_circuit(registry, upstream)
    response = await registry.route_request("Hello")

    assert response.route is not None
    assert [(t.provider, t.model, t.outcome) for t in response.route.attempts] == [
        ("a", "m", "circuit_open"), ("b", "m", "ok"),
    ]  # fmt: skip
    assert response.route.rule == "fallback"


async def test_a_stream_skips_an_open_circuit_too(registry, upstream):
    await break_circuit(registry, upstream)
    before = len(upstream.requests)
    chunks = [chunk async for chunk in registry.stream_route("Hello")]

    assert chunks[-1].finish_reason == "stop"
    assert len(upstream.requests) == before + 1


async def test_a_provider_that_is_asked_by_its_name_is_not_held_back(registry, upstream):
    await break_circuit(registry, upstream)
    response = await registry.get_provider("a").generate("Hello")

    assert response.content


async def test_calls_by_name_are_the_probes_where_nobody_else_calls(registry, upstream, clock):
    await break_circuit(registry, upstream)
    clock.advance(30.0)
    await registry.get_provider("a").generate("Hello")
    assert state_of(registry, "a") == "half_open"
    async for _ in registry.get_provider("a").stream("Hello"):
        pass

    assert state_of(registry, "a") == "closed"


async def test_where_all_are_open_each_says_so_and_when_to_come_back(registry, upstream):
    for name in "abc":
        await break_circuit(registry, upstream, name)
    before = len(upstream.requests)

    with pytest.raises(errors.AllProvidersFailedError) as caught:
        await registry.route_request("Hello")
    assert [t.outcome for t in caught.value.attempts] == ["circuit_open"] * 3
    assert [e.retry_after_s for e in caught.value.errors] == [30.0] * 3
    assert caught.value.retryable
    assert len(upstream.requests) == before


async def test_one_call_a_second_goes_to_the_last_where_all_are_open(registry, upstream, clock):
    for name in "abc":
        await break_circuit(registry, upstream, name)
    clock.advance(1.0)
    assert (await registry.route_request("Hello")).provider == "c"
    assert (await registry.route_request("Hello")).provider == "c"

    assert state_of(registry, "c") == "closed"
    assert state_of(registry, "a") == "open"


async def test_a_whole_chain_makes_four_tries_and_asks_each_once(registry, upstream):
    upstream.mode("status:500")
    with pytest.raises(errors.AllProvidersFailedError) as caught:
        await registry.route_request("Hello")

    assert [t.provider for t in caught.value.attempts] == ["a", "a", "b", "c"]
    assert len(upstream.requests) == 4


async def test_one_provider_alone_makes_the_tries_of_its_row(registry, upstream):
    chain_of(registry, "a")
    upstream.mode("status:500")
    with pytest.raises(errors.ServerError) as caught:
        await registry.route_request("Hello")

    assert len(caught.value.attempts) == 3


async def test_a_circuit_that_opens_in_the_midst_of_a_call_ends_its_tries(registry, upstream):
    chain_of(registry, "a")
    upstream.mode("status:500")
    for _ in range(2):
        with pytest.raises(errors.ServerError):
            await registry.route_request("Hello")

    assert len(upstream.requests) == 5


async def test_a_class_of_somebodys_own_has_a_circuit_as_well(registry):
    chain_of(registry, "plain", "b")
    plain = registry.get_provider("plain")
    type(plain).fails = OSError("down")
    for _ in range(6):
        assert (await registry.route_request("Hello")).provider == "b"
    assert type(plain).calls == 5
    assert state_of(registry, "plain") == "open"


@pytest.mark.parametrize(
    ("failure", "state"), [(OSError("cut"), "open"), (errors.ContentFilterError("no"), "closed")]
)
async def test_streams_of_such_a_class_that_break_off_count(registry, failure, state):
    chain_of(registry, "plain", "b")
    plain = type(registry.get_provider("plain"))
    plain.fails, plain.fails_late = failure, True
    for _ in range(5):
        with pytest.raises(errors.LLMError):
            [chunk async for chunk in registry.stream_route("Hello")]

    assert state_of(registry, "plain") == state


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "chain"])
async def test_a_stream_that_breaks_off_counts_once(registry, upstream, by_name):
    chain_of(registry, "a", "b")
    upstream.mode("close-mid-stream:4")
    for count in range(5):
        assert registry.circuits.find("a", "m").show().failures == count
        stream = registry.get_provider("a").stream if by_name else registry.stream_route
        with pytest.raises(errors.StreamInterruptedError):
            [chunk async for chunk in stream("Hello")]

    assert state_of(registry, "a") == "open"


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "chain"])
async def test_an_iterator_that_is_closed_counts_as_nothing(registry, upstream, clock, by_name):
    chain_of(registry, "a")
    await break_circuit(registry, upstream)
    clock.advance(30.0)
    for _ in range(3):
        stream = registry.get_provider("a").stream if by_name else registry.stream_route
        async with aclosing(stream("Hello")) as chunks:
            await anext(chunks)

    assert state_of(registry, "a") == "closed"


@pytest.mark.parametrize("spec", ["status:400", "status:401", "status:404", "status:422"])
async def test_refusals_open_no_circuit(registry, upstream, spec):
    upstream.mode(spec)
    for _ in range(7):
        with pytest.raises(errors.LLMError):
            await registry.get_provider("a").generate("Hello")

    assert state_of(registry, "a") == "closed"


@pytest.mark.parametrize("spec", ["status:401", "status:402", "status:403", "quota", "status:429"])
async def test_the_next_key_is_tried_where_only_the_key_failed(registry, upstream, spec):
    upstream.script([spec])
    provider = registry.get_provider("keyed")
    response = await provider.generate("Hello")
    await provider.generate("Hello")

    assert response.route is not None
    assert [t.outcome for t in response.route.attempts][1:] == ["ok"]
    assert [r.api_key for r in upstream.requests] == [KEYS["ONE_KEY"], *[KEYS["TWO_KEY"]] * 2]


async def test_a_stream_takes_the_next_key_before_it_begins(registry, upstream):
    upstream.script(["status:401"])
    chunks = [chunk async for chunk in registry.get_provider("keyed").stream("Hello")]

    assert chunks[-1].finish_reason == "stop"
    assert upstream.last_request.api_key == KEYS["TWO_KEY"]


async def test_a_key_that_rested_is_taken_again(registry, upstream):
    provider = registry.get_provider("keyed")
    upstream.script(["status:401", None, "status:401", None])
    await provider.generate("Hello")
    provider._clock.advance(61.0)
    await provider.generate("Hello")

    assert upstream.last_request.api_key == KEYS["ONE_KEY"]


async def test_keys_are_tried_once_each_and_show_themselves_nowhere(registry, upstream):
    upstream.mode("status:401")
    with pytest.raises(errors.AuthenticationError) as caught:
        await registry.get_provider("keyed").generate("Hello")

    assert [t.outcome for t in caught.value.attempts] == ["AuthenticationError"] * 2
    assert "ONE_KEY, TWO_KEY" in caught.value.message
    states = registry.get_key_states("keyed")
    assert [(s.variable, s.until_s) for s in states] == [("ONE_KEY", 60.0), ("TWO_KEY", 60.0)]
    shown = f"{states} {registry.get_provider('keyed').config!r} {caught.value}"
    assert not any(key in shown for key in KEYS.values())


async def test_a_provider_with_one_key_has_no_row_of_keys(registry):
    registry.get_provider("a")

    assert registry.get_key_states("a") == []
    assert registry.get_key_states("keyed") == []


def test_nobody_takes_the_turn_of_another() -> None:
    chain = Chain(Circuits(CircuitPolicy(enabled=False)), ["a"])
    assert chain.next() == "a"
    turn = chain.enter("a", PlainProvider(), None)

    assert turn is not None
    with turn:
        assert take_turn("b") is None
        assert take_turn("a name of its own") is turn
    assert take_turn("a name of its own") is None
