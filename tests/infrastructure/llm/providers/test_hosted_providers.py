"""watsonx, Hugging Face, Databricks and Snowflake: OpenAI's chat with ways of their own."""

import base64
from urllib.parse import parse_qs

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ModelNotFoundError,
    ProviderNotConfiguredError,
)
from faultmaven.infrastructure.llm.providers.databricks_provider import DatabricksProvider
from faultmaven.infrastructure.llm.providers.huggingface_provider import HuggingFaceProvider
from faultmaven.infrastructure.llm.providers.snowflake_provider import SnowflakeProvider
from faultmaven.infrastructure.llm.providers.watsonx_provider import WatsonxProvider
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import ProviderContract
from faultmaven.testing.answers import DEFAULT_MODEL
from tests.infrastructure.llm.providers.canned import Canned

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
ANSWER = {
    "id": "c1", "model_id": "granite-x", "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}  # fmt: skip
STREAM = b"""id: 1
event: message
data: {"id":"c1","model_id":"granite-x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}

id: 2
event: message
data: {"id":"c1","model_id":"granite-x","choices":[{"index":0,"delta":{"content":"Hi."}}]}

id: 3
event: message
data: {"id":"c1","model_id":"granite-x","choices":[{"index":0,"finish_reason":"stop","delta":{"content":""}}]}

id: 4
event: message
data: {"id":"c1","model_id":"granite-x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}

"""


def make(kind, base_url, **settings):
    given = {"api_key": "key-for-a-test", "models": ["model-x"], "max_retries": 0}
    return kind(name="acme", base_url=base_url, **{**given, **settings})


def make_watsonx(base_url, **settings):
    given = {"variables": {"project": "project-1", "token": "token-of-ibm"}}
    return make(WatsonxProvider, base_url, **{**given, **settings})


class TestWatsonxContract(ProviderContract):
    dialect = "watsonx"
    supports_embeddings = True

    def make_provider(self, base_url):
        variables = {"project": "project-1", "token": self.api_key}
        return make_watsonx(base_url, variables=variables)


async def test_watsonx_lists_models(upstream):
    async with make_watsonx(upstream.base_url_for("watsonx")) as watsonx:
        assert await watsonx.get_available_models() == [DEFAULT_MODEL]


async def test_watsonx_names_things_otherwise(canned):
    canned.answer(ANSWER)
    async with make_watsonx(canned.url) as watsonx:
        answer = await watsonx.generate("Hi", tools=[WEATHER], tool_choice="auto", max_tokens=9)

    sent = canned.last.json
    assert (answer.content, answer.tokens_used, answer.model) == ("Hi.", 5, "granite-x")
    assert canned.last.target == "/ml/v1/text/chat?version=2024-10-08"
    assert (sent["model_id"], sent["project_id"]) == ("model-x", "project-1")
    assert sent["tool_choice_option"] == "auto"
    assert not {"model", "stream", "tool_choice"} & sent.keys()
    assert canned.last.headers["authorization"] == "Bearer token-of-ibm"


async def test_watsonx_names_one_tool_as_openai_does(canned):
    canned.answer(ANSWER)
    choice = {"type": "function", "function": {"name": "get_weather"}}
    async with make_watsonx(canned.url) as watsonx:
        await watsonx.generate("Hi", tools=[WEATHER], tool_choice=choice)

    assert canned.last.json["tool_choice"] == choice
    assert "tool_choice_option" not in canned.last.json


async def test_watsonx_streams_from_another_address(canned):
    canned.answer(Canned(STREAM, content_type="text/event-stream"))
    async with make_watsonx(canned.url) as watsonx:
        answer = assemble([chunk async for chunk in watsonx.stream("Hi")])

    assert (answer.content, answer.finish_reason, answer.output_tokens) == ("Hi.", "stop", 2)
    assert canned.last.path == "/ml/v1/text/chat_stream"
    assert not {"stream", "stream_options"} & canned.last.json.keys()


async def test_watsonx_changes_its_key_for_a_token_once(canned):
    canned.answer({"access_token": "token-of-ibm", "expires_in": 3600}, ANSWER)
    row = {"auth": {"style": "ibm-iam", "token_url": f"{canned.url}/identity/token"}}
    variables = {"space": "space-1"}
    async with make_watsonx(canned.url, variables=variables, row=row) as watsonx:
        await watsonx.generate("Hi")
        await watsonx.generate("Hi")

    assert [seen.path for seen in canned.seen] == ["/identity/token"] + ["/ml/v1/text/chat"] * 2
    assert parse_qs(canned.seen[0].body.decode())["apikey"] == ["key-for-a-test"]
    assert canned.last.headers["authorization"] == "Bearer token-of-ibm"
    assert canned.last.json["space_id"] == "space-1"
    assert "key-for-a-test" not in str(canned.last.headers)


async def test_watsonx_with_a_bad_key_says_so(canned):
    said = {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}
    canned.answer(Canned(said, status=400))
    row = {"auth": {"style": "ibm-iam", "token_url": f"{canned.url}/identity/token"}}
    async with make_watsonx(canned.url, variables={"project": "p"}, row=row) as watsonx:
        with pytest.raises(AuthenticationError, match="WATSONX_API_KEY"):
            await watsonx.generate("Hi")


async def test_watsonx_without_a_project_says_which_variable_to_set(canned):
    async with make_watsonx(canned.url, variables={}) as watsonx:
        with pytest.raises(ProviderNotConfiguredError, match="WATSONX_PROJECT_ID"):
            await watsonx.generate("Hi")

    assert canned.seen == []


async def test_watsonx_lists_models_and_embeds(canned):
    canned.answer(
        {"resources": [{"model_id": "granite-x", "label": "g"}]},
        {"model_id": "e", "results": [{"embedding": [1.0]}, {"embedding": [2.0]}],
         "input_token_count": 4},
    )  # fmt: skip
    async with make_watsonx(canned.url) as watsonx:
        models = await watsonx.get_available_models()
        answer = await watsonx.embed(["a", "b"])

    assert models == ["granite-x"]
    assert (answer.vectors, answer.input_tokens) == ([[1.0], [2.0]], 4)
    assert canned.last.path == "/ml/v1/text/embeddings"
    assert canned.last.json["inputs"] == ["a", "b"]


class TestHuggingFaceContract(ProviderContract):
    def make_provider(self, base_url):
        return make(HuggingFaceProvider, base_url, api_key=self.api_key)


@pytest.mark.parametrize(
    ("body", "texts"), [([[1.0], [2.0]], ["a", "b"]), ([1.0, 2.0], ["a"])], ids=["two", "one"]
)
async def test_huggingface_embeds_by_its_task_api(canned, body, texts):
    canned.answer(body)
    async with make(HuggingFaceProvider, f"{canned.url}/v1") as huggingface:
        answer = await huggingface.embed(texts, model="thenlper/gte-large")

    assert len(answer.vectors) == len(texts)
    assert canned.last.json == {"inputs": texts}
    assert canned.last.target == (
        "/hf-inference/models/thenlper/gte-large/pipeline/feature-extraction"
    )


@pytest.mark.parametrize("model", ["../admin", "a//b", "a/.."])
async def test_huggingface_takes_no_model_that_changes_the_path(canned, model):
    async with make(HuggingFaceProvider, canned.url) as huggingface:
        with pytest.raises(ModelNotFoundError):
            await huggingface.embed(["a"], model=model)

    assert canned.seen == []


class TestDatabricksContract(ProviderContract):
    def make_provider(self, base_url):
        return make(DatabricksProvider, base_url, api_key=self.api_key)


async def test_databricks_takes_a_service_principal(canned):
    canned.answer({"access_token": "token-of-databricks", "expires_in": 3600}, ANSWER)
    variables = {"client_id": "id-1", "client_secret": "secret-of-a-client"}
    async with make(
        DatabricksProvider, f"{canned.url}/serving-endpoints", api_key=None, variables=variables
    ) as databricks:
        assert databricks.is_available()
        await databricks.generate("Hi")

    token, chat = canned.seen
    pair = base64.b64encode(b"id-1:secret-of-a-client").decode()
    assert token.path == "/oidc/v1/token"
    assert token.headers["authorization"] == f"Basic {pair}"
    assert chat.path == "/serving-endpoints/chat/completions"
    assert chat.headers["authorization"] == "Bearer token-of-databricks"


async def test_databricks_lists_the_endpoints_of_its_workspace(canned):
    canned.answer({"endpoints": [{"id": "0", "name": "llama-x"}]})
    async with make(DatabricksProvider, f"{canned.url}/serving-endpoints") as databricks:
        models = await databricks.get_available_models()

    assert models == ["llama-x"]
    assert canned.last.path == "/api/2.0/serving-endpoints"


class TestSnowflakeContract(ProviderContract):
    def make_provider(self, base_url):
        return make(SnowflakeProvider, base_url, api_key=self.api_key)


async def test_snowflake_embeds_in_bodies_of_its_own(canned):
    data = [{"index": 0, "embedding": [[1.0, 2.0]]}, {"index": 1, "embedding": [[3.0, 4.0]]}]
    canned.answer({"data": data, "usage": {"total_tokens": 5}})
    async with make(SnowflakeProvider, f"{canned.url}/api/v2/cortex/v1") as snowflake:
        answer = await snowflake.embed(["a", "b"])

    assert answer.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert answer.input_tokens == 5
    assert canned.last.path == "/api/v2/cortex/inference:embed"
    assert canned.last.json["text"] == ["a", "b"]


async def test_snowflake_asks_hosts_without_underscores():
    address = "https://my_org-my_account.snowflakecomputing.com/api/v2/cortex/v1"
    async with make(SnowflakeProvider, address) as snowflake:
        assert snowflake.config.base_url == address.replace("_", "-")
