"""Trying providers: within a limit, a few at a time, results in the order of the names."""

from __future__ import annotations

from faultmaven.cli.trial import try_all
from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from faultmaven.testing import FakeUpstream


def registry_of(upstream: FakeUpstream) -> ProviderRegistry:
    return ProviderRegistry(
        load_settings(
            GROQ_API_KEY="gsk_0123456789", GROQ_API_BASE=upstream.base_url, LLM_MAX_RETRIES=0
        )
    )


async def test_try_all_ends_at_the_limit() -> None:
    async with FakeUpstream() as upstream:
        upstream.mode("stall-headers")

        slow, quick = await try_all(
            registry_of(upstream), ["groq", "echo"], key_only=False, limit_s=0.2
        )

    assert (slow.provider, slow.ok) == ("groq", False)
    assert "0.2 s" in slow.error
    assert (quick.provider, quick.ok) == ("echo", True)


async def test_try_all_with_key_only_generates_nothing() -> None:
    async with FakeUpstream() as upstream:
        (trial,) = await try_all(registry_of(upstream), ["groq"], key_only=True)

        assert trial.ok
        assert [request.method for request in upstream.requests] == ["GET"]


async def test_try_all_takes_a_model_that_only_thought_for_an_answer() -> None:
    async with FakeUpstream() as upstream:
        upstream.reply("", reasoning="Hm.", finish_reason="length")

        (trial,) = await try_all(registry_of(upstream), ["groq"], key_only=False)

    assert trial.ok
