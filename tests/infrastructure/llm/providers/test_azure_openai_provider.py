"""Azure OpenAI, both routes, by key and by Entra."""

from urllib.parse import parse_qs

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ContentFilterError,
    ModelNotFoundError,
    ProviderNotConfiguredError,
)
from faultmaven.infrastructure.llm.providers.azure_openai_provider import AzureOpenAIProvider
from faultmaven.testing import ProviderContract
from tests.infrastructure.llm.providers.canned import Canned

ROW = {
    "api_key_var": "AZURE_OPENAI_API_KEY",
    "api_key_optional": True,
    "model_var": "AZURE_OPENAI_DEPLOYMENT",
    "params": {"rename": {"max_tokens": "max_completion_tokens"}},
}
ANSWER = {
    "id": "c1", "model": "gpt-x", "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}  # fmt: skip
PRINCIPAL = {"tenant": "tenant-1", "client_id": "id-1", "client_secret": "secret-of-a-client"}


def make_azure(base_url, version="", **settings):
    given = {"api_key": "key-for-a-test", "models": ["my-gpt"], "max_retries": 0, "row": ROW}
    given["variables"] = {"api_version": version} if version else {}
    return AzureOpenAIProvider(name="azure_openai", base_url=base_url, **{**given, **settings})


class TestContractNewerRoute(ProviderContract):
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_azure(base_url, api_key=self.api_key)


class TestContractOlderRoute(ProviderContract):
    supports_embeddings = True

    def make_provider(self, base_url):
        return make_azure(base_url.removesuffix("/v1"), "2024-10-21", api_key=self.api_key)


@pytest.mark.parametrize(
    ("given", "version", "expected"),
    [
        ("", "", "/openai/v1/chat/completions"),
        ("/openai", "", "/openai/v1/chat/completions"),
        ("/openai/v1/", "", "/openai/v1/chat/completions"),
        ("/openai/v1", "v1", "/openai/v1/chat/completions"),
        ("/openai/v1", "preview", "/openai/v1/chat/completions"),
        ("/gateway", "", "/gateway/openai/v1/chat/completions"),
        ("", "2024-10-21",
         "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("/openai/v1", "2025-01-01-preview",
         "/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01-preview"),
        ("/openai/deployments/other/chat/completions", "2024-10-21",
         "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("/models", "", "/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)  # fmt: skip
async def test_every_form_of_the_address_is_understood(canned, given, version, expected):
    canned.answer(ANSWER)
    async with make_azure(canned.url + given, version) as azure:
        await azure.generate("Hi")

    assert canned.last.target == expected
    assert canned.last.headers["api-key"] == "key-for-a-test"
    assert "authorization" not in canned.last.headers


async def test_a_deployment_is_one_segment_of_the_path(canned):
    canned.answer(ANSWER)
    async with make_azure(canned.url, "2024-10-21") as azure:
        await azure.generate("Hi", model="../../admin?x=#")

    assert canned.last.target == (
        "/openai/deployments/..%2F..%2Fadmin%3Fx%3D%23/chat/completions?api-version=2024-10-21"
    )


@pytest.mark.parametrize(
    ("version", "limit", "has_stream_options"),
    [
        ("", "max_completion_tokens", True),
        ("2024-12-01-preview", "max_completion_tokens", True),
        ("2024-10-21", "max_tokens", True),
        ("2024-06-01", "max_tokens", False),
    ],
)
async def test_older_versions_are_spared_newer_fields(
    upstream, version, limit, has_stream_options
):
    async with make_azure(upstream.url, version) as azure:
        _ = [chunk async for chunk in azure.stream("Hi", max_tokens=9)]

    sent = upstream.last_request.json
    assert sent[limit] == 9
    assert len({"max_tokens", "max_completion_tokens"} & sent.keys()) == 1
    assert ("stream_options" in sent) is has_stream_options


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("", "/openai/v1/embeddings"),
        ("2024-10-21", "/openai/deployments/embedder/embeddings?api-version=2024-10-21"),
    ],
)
async def test_embeddings_take_the_same_route(canned, version, expected):
    canned.answer({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}})
    async with make_azure(canned.url, version) as azure:
        answer = await azure.embed(["a"], model="embedder")

    assert answer.vectors == [[1.0]]
    assert canned.last.target == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [("", "/openai/v1/models"), ("2024-10-21", "/openai/models?api-version=2024-10-21")],
)
async def test_models_are_listed(canned, version, expected):
    canned.answer({"object": "list", "data": [{"id": "gpt-x"}]})
    async with make_azure(canned.url, version) as azure:
        models = await azure.get_available_models()

    assert models == ["gpt-x"]
    assert canned.last.target == expected


async def test_a_token_of_entra_is_a_bearer(canned):
    canned.answer(ANSWER)
    variables = {"ad_token": "token-of-entra"}
    async with make_azure(canned.url, api_key=None, variables=variables) as azure:
        assert azure.is_available()
        await azure.generate("Hi")

    assert canned.last.headers["authorization"] == "Bearer token-of-entra"
    assert "api-key" not in canned.last.headers


async def test_a_service_principal_fetches_a_token_once(canned):
    canned.answer({"access_token": "token-of-entra", "expires_in": 3599}, ANSWER)
    row = {**ROW, "auth": {"style": "header", "header": "api-key"}}
    row["auth"]["token_url"] = f"{canned.url}/tenant-1/oauth2/v2.0/token"
    async with make_azure(canned.url, api_key=None, variables=PRINCIPAL, row=row) as azure:
        await azure.generate("Hi")
        await azure.generate("Hi")

    form = parse_qs(canned.seen[0].body.decode())
    assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]
    assert form["client_secret"] == ["secret-of-a-client"]
    assert [seen.path for seen in canned.seen[1:]] == ["/openai/v1/chat/completions"] * 2
    assert canned.last.headers["authorization"] == "Bearer token-of-entra"


async def test_a_refused_principal_says_which_variables_to_check(canned):
    said = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."}
    canned.answer(Canned(said, status=401))
    row = {**ROW, "auth": {"token_url": f"{canned.url}/token"}}
    async with make_azure(canned.url, api_key=None, variables=PRINCIPAL, row=row) as azure:
        with pytest.raises(AuthenticationError, match=r"AADSTS7000215.*AZURE_CLIENT_SECRET"):
            await azure.generate("Hi")


async def test_without_any_credentials_it_is_not_available(canned):
    async with make_azure(canned.url, api_key=None) as azure:
        assert not azure.is_available()
        with pytest.raises(ProviderNotConfiguredError, match="AZURE_OPENAI_API_KEY"):
            await azure.generate("Hi")

    assert canned.seen == []


@pytest.mark.parametrize(
    ("status", "error", "kind", "match"),
    [
        (404, {"code": "DeploymentNotFound", "message": "The API deployment does not exist."},
         ModelNotFoundError, "AZURE_OPENAI_DEPLOYMENT"),
        (400, {"code": "content_filter", "message": "The response was filtered.", "innererror":
         {"code": "ResponsibleAIPolicyViolation"}}, ContentFilterError, "filtered"),
    ],
)  # fmt: skip
async def test_errors_of_azure_are_told_apart(canned, status, error, kind, match):
    canned.answer(Canned({"error": error}, status=status))
    async with make_azure(canned.url, "2024-10-21") as azure:
        with pytest.raises(kind, match=match):
            await azure.generate("Hi")


def test_only_the_newer_route_takes_a_clients_body_as_it_is():
    assert make_azure("https://r.openai.azure.com").can_forward("openai_chat", {})
    assert not make_azure("https://r.openai.azure.com", "2024-10-21").can_forward(
        "openai_chat", {}
    )
