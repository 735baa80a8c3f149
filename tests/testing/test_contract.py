"""The contract passes for a good provider and fails for bad ones."""

from __future__ import annotations

import pytest

from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider, LLMResponse
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.testing import ProviderContract


class TestOpenAIProvider(ProviderContract):
    supports_embeddings = True

    def make_provider(self, base_url):
        return OpenAIProvider(
            name="openai", base_url=base_url, api_key=self.api_key, models=["m"], max_retries=0
        )


class Careless(BaseLLMProvider):
    """Answers without asking, and shows its key."""

    @property
    def provider_name(self):
        return "careless"

    def is_available(self):
        return True

    def get_supported_models(self):
        return ["m"]

    async def generate(self, prompt, model=None, max_tokens=None, temperature=None, **kwargs):
        return LLMResponse("ok", 1.0, "careless", "m", 0, 1)

    def __repr__(self):
        return f"<Careless {self.config.api_key}>"


class CarelessContract(ProviderContract):
    def make_provider(self, base_url):
        return Careless(base_url=base_url, api_key=self.api_key)


@pytest.mark.parametrize(
    "name",
    [
        "test_generate_answers",
        "test_generate_takes_a_conversation",
        "test_key_401_is_authentication_error",
        "test_key_is_in_no_text",
        "test_stream_gives_the_same_text",
        "test_tools_are_called",
    ],
)
def test_contract_fails_a_careless_provider(name):
    with pytest.raises((AssertionError, IndexError)):
        getattr(CarelessContract(), name)()


def test_contract_needs_make_provider():
    with pytest.raises(NotImplementedError, match="make_provider"):
        ProviderContract().test_closing_twice_is_fine()
