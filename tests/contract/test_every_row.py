"""Every row of the built-in table, called for real: configured by its variables alone, answered by a
server that speaks its dialect.
"""

from __future__ import annotations

import re
import traceback
from typing import NamedTuple
from urllib.parse import unquote

import pytest

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
)
from faultmaven.infrastructure.llm.providers.google_tokens import GoogleTokens
from faultmaven.infrastructure.llm.providers.provider_class import load_provider_class
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry
from faultmaven.infrastructure.llm.providers.row import REFUSED_STATUS, complete_row
from faultmaven.infrastructure.llm.providers.table import BUILTIN_ROWS
from faultmaven.testing import FakeUpstream
from faultmaven.testing.answers import DEFAULT_TEXT

KEY = "row-canary-0123456789abcdef"
MODEL = "Vendor-Canary_1.5:x"


class Speech(NamedTuple):
    """What a class speaks, and how it sends the key where its row does not say."""

    dialect: str
    header: str = "authorization"
    prefix: str = "Bearer "


SPEECHES = {
    "AnthropicProvider": Speech("anthropic", "x-api-key", ""),
    "AzureOpenAIProvider": Speech("openai", "api-key", ""),
    "BedrockAnthropicProvider": Speech("bedrock"),
    "BedrockProvider": Speech("bedrock"),
    "CohereProvider": Speech("cohere"),
    "DatabricksProvider": Speech("openai"),
    "GeminiProvider": Speech("gemini", "x-goog-api-key", ""),
    "HuggingFaceProvider": Speech("openai"),
    "LocalProvider": Speech("openai"),
    "MistralProvider": Speech("openai"),
    "OllamaProvider": Speech("ollama"),
    "OpenAIProvider": Speech("openai"),
    "OpenAIResponsesProvider": Speech("openai"),
    "SnowflakeProvider": Speech("openai"),
    "VertexAnthropicProvider": Speech("vertex-anthropic"),
    "VertexProvider": Speech("gemini"),
    "WatsonxProvider": Speech("watsonx"),
}
# Answered without a server: by an echo, and by an engine of the package's own.
SERVERLESS = {"EchoProvider", "EmbeddedProvider"}
# They have no list of models to ask for.
LISTLESS = {"VertexAnthropicProvider"}
# Their keys become tokens or signatures, which the tests of their classes look at.
INDIRECT_STYLES = {"aws-sigv4", "google-oauth", "ibm-iam"}

ABSENT = (ConfigurationError, ModuleNotFoundError)


def listed(value):
    return [value] if isinstance(value, str) else list(value or ())


def class_of(row):
    return row.get("provider_class", "OpenAIProvider")


def is_refused(row):
    return row.get("status") in REFUSED_STATUS


def marks_of(name, row):
    """Expect a failure of rows whose class is not there yet; once it is, they are tests like others."""
    try:
        load_provider_class(name, class_of(row))
    except ABSENT:
        reason = f"{class_of(row)} does not exist yet"
        return [pytest.mark.xfail(reason=reason, raises=ABSENT, strict=True)]
    if class_of(row) not in SPEECHES:
        return [pytest.mark.skip(f"the fake upstream does not speak {class_of(row)}'s dialect")]
    return []


def called_rows():
    return [
        pytest.param(name, row, id=name, marks=marks_of(name, row))
        for name, row in BUILTIN_ROWS.items()
        if not is_refused(row) and class_of(row) not in SERVERLESS
    ]


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream.in_thread() as server:
        yield server


@pytest.fixture(autouse=True)
def robot(project, monkeypatch):
    async def headers(_tokens):
        return {"Authorization": "Bearer token-of-a-robot"}

    # The tests of Google's tokens ask a token service.
    monkeypatch.setattr(GoogleTokens, "headers", headers)


def environment(name, row, upstream):
    """Give the variables that configure a row, as a user would set them."""
    whole = complete_row(name, row)
    values = {listed(v["vars"])[0]: f"value-of-{k}" for k, v in row.get("variables", {}).items()}
    for field, value in (("api_key_var", KEY), ("model_var", MODEL)):
        if whole[field]:
            values[listed(whole[field])[0]] = value
    speech = SPEECHES.get(class_of(row))
    if speech:
        values[address_variable(whole)] = upstream.base_url_for(speech.dialect)
    return values


def address_variable(whole):
    return listed(whole["base_url_var"])[0]


def provider_of(name, row, upstream):
    """Make a row's provider out of nothing but variables."""
    upstream.reset()
    settings = load_settings(**environment(name, row, upstream), llm_max_retries=0)
    return ProviderRegistry(settings).get_provider(name)


def posted(upstream):
    """Give the calls that asked a model, without the questions about models."""
    return [request for request in upstream.requests if request.method == "POST"]


@pytest.mark.parametrize(("name", "row"), called_rows())
async def test_a_row_answers_whole_and_in_pieces(name, row, upstream):
    async with provider_of(name, row, upstream) as provider:
        if not complete_row(name, row)["model_var"]:
            pytest.skip("the row takes no model")
        response = await provider.generate("Hello")
        chunks = [chunk async for chunk in provider.stream("Hello")]

    assert (response.content, response.provider) == (DEFAULT_TEXT, name)
    assert "".join(chunk.text for chunk in chunks) == DEFAULT_TEXT
    assert chunks[-1].finish_reason == "stop"
    plain, streamed = posted(upstream)
    for request in (plain, streamed):
        assert_headers(request, row)
        assert_model(request)
    assert (response.input_tokens or 0) > 0


def assert_headers(request, row):
    """Compare key and further headers with what the row says of them."""
    auth = row.get("auth", {})
    speech = SPEECHES[class_of(row)]
    keyless = complete_row("x", row)["api_key_var"] is None or auth.get("style") == "none"
    if auth.get("style") not in INDIRECT_STYLES:
        bearer = speech.prefix if auth.get("style") != "header" else ""
        header = auth.get("header", speech.header).lower()
        expected = None if keyless else f"{auth.get('prefix', bearer)}{KEY}"
        assert request.headers.get(header) == expected
        carriers = [n for n, value in request.headers.items() if KEY in value]
        assert carriers == ([] if keyless else [header])
    assert KEY not in request.raw_target
    for header, template in row.get("headers", {}).items():
        wanted = re.sub(r"\$\{(\w+)(:-[^}]*)?\}", r"value-of-\1", template)
        assert request.headers[header.lower()] == wanted


def assert_model(request):
    named = [request.json[name] for name in ("model", "model_id") if name in request.json]
    assert named == [MODEL] or (not named and MODEL in unquote(request.raw_target))


@pytest.mark.parametrize(("name", "row"), called_rows())
@pytest.mark.parametrize(
    ("fault", "kind"), [("auth-echo", AuthenticationError), ("status:429", RateLimitError)]
)
async def test_a_rows_errors_are_of_their_class_and_without_the_key(
    name, row, fault, kind, upstream
):
    async with provider_of(name, row, upstream) as provider:
        upstream.mode(fault)
        with pytest.raises(kind) as caught:
            await provider.generate("Hello")
        with pytest.raises(kind):
            async for _ in provider.stream("Hello"):
                pass

    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error))
    shown += repr(provider) + repr(provider.config) + str(provider)
    assert KEY not in shown
    assert (error.provider, error.model) == (name, error.model or None)
    variable = next(iter(listed(complete_row(name, row)["api_key_var"])), "")
    assert kind is RateLimitError or variable in str(error)


@pytest.mark.parametrize(("name", "row"), called_rows())
async def test_a_row_lists_models_or_falls_back(name, row, upstream):
    async with provider_of(name, row, upstream) as provider:
        found = await provider.get_available_models()
        upstream.mode("status:500")
        fallen_back = await provider.get_available_models()

    assert found
    assert all(isinstance(model, str) and model for model in found)
    assert fallen_back == provider.get_supported_models()
    # Whatever else was asked went to the configured address: the server saw it.
    if row.get("models_endpoint", True) and class_of(row) not in LISTLESS:
        assert {request.method for request in upstream.requests} == {"GET"}
    else:
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(n, r, id=n) for n, r in BUILTIN_ROWS.items() if is_refused(r)],
)
def test_a_refused_row_says_why(name, row, upstream):
    with pytest.raises(ConfigurationError) as caught:
        provider_of(name, row, upstream)

    assert row["status_reason"] in str(caught.value)
    assert caught.value.code == f"provider_{row['status']}"
    assert name not in ProviderRegistry(load_settings()).get_available_providers()


@pytest.mark.parametrize("name", sorted(SERVERLESS))
def test_rows_without_a_server_are_among_the_table(name):
    assert name in {class_of(row) for row in BUILTIN_ROWS.values()}


def test_the_echo_answers_without_a_server(upstream):
    provider = provider_of("echo", BUILTIN_ROWS["echo"], upstream)

    assert provider.is_available()
    assert upstream.requests == []
