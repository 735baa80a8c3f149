"""Dialects as data, end to end: the examples as a user would install them."""

import shutil
from pathlib import Path

import pytest
import yaml

from faultmaven.config.schemas import PROVIDER, accepts, faults
from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError, ResponseFormatError
from faultmaven.infrastructure.llm.providers.declared_provider import DeclaredProvider
from faultmaven.infrastructure.llm.providers.row import check_row
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import FakeUpstream, ProviderContract

EXAMPLES = Path(__file__).parents[4] / "examples"
FILES = sorted(EXAMPLES.glob("*-as-data.yaml"))


def row_of(name):
    return yaml.safe_load((EXAMPLES / name).read_text("utf-8"))


def declared(base_url, **row):
    return DeclaredProvider(
        name="data", base_url=base_url, api_key=ProviderContract.api_key, models=["m"],
        max_retries=0, row=row,
    )  # fmt: skip


class TestCohereAsData(ProviderContract):
    dialect = "cohere"

    def make_provider(self, base_url):
        return declared(base_url, **row_of("cohere-as-data.yaml"))


class TestOllamaAsData(ProviderContract):
    dialect = "ollama"

    def make_provider(self, base_url):
        return declared(base_url, **row_of("ollama-as-data.yaml"))


async def test_a_task_of_hugging_face_is_a_prompt_and_a_list(canned):
    canned.answer(
        [{"generated_text": "Hi.", "details": {"finish_reason": "length", "generated_tokens": 2}}]
    )
    row = row_of("huggingface-task-as-data.yaml")
    async with declared(canned.url, **row) as task:
        answer = await task.generate("Hello", max_tokens=5, temperature=0.5, top_k=3, details=True)
        await task.generate("Hello", max_tokens=None, temperature=0)

    first, second = (request.json for request in canned.seen)
    assert first == {
        "inputs": "Hello",
        "parameters": {
            "max_new_tokens": 5, "temperature": 0.5, "do_sample": True, "return_full_text": False,
            "top_k": 3, "details": True,
        },
    }  # fmt: skip
    assert second == {"inputs": "Hello", "parameters": {"return_full_text": False}}
    assert canned.last.path == "/"
    assert (answer.content, answer.finish_reason, answer.output_tokens) == ("Hi.", "length", 2)


@pytest.mark.parametrize("body", [[], [{}], ["text"], {"result": "Hi."}, "Hi."], ids=str)
async def test_a_task_without_its_text_is_malformed(canned, body):
    canned.answer(body)
    async with declared(canned.url, **row_of("huggingface-task-as-data.yaml")) as task:
        with pytest.raises(ResponseFormatError):
            await task.generate("Hello")


async def test_a_task_that_fails_says_why(canned):
    canned.answer({"error": "Model is overloaded"})
    async with declared(canned.url, **row_of("huggingface-task-as-data.yaml")) as task:
        with pytest.raises(LLMError, match="overloaded"):
            await task.generate("Hello")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_examples_are_valid_rows(file):
    row = row_of(file)

    check_row(file.stem, row)
    assert accepts(PROVIDER)(row)
    assert faults(PROVIDER, row) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("path"), "path"),
        (lambda d: d.update(pth="/x"), "pth"),
        (lambda d: d["response"].update(txt="/x"), "txt"),
        (lambda d: d["response"].update(text="no pointer"), "text"),
        (lambda d: d["stream"].update(framing="xml"), "framing"),
        (lambda d: d["finish_reasons"].update(COMPLETE="done"), "done"),
        (lambda d: d["request"]["messages"].update(usr="$text"), "usr"),
    ],
)
def test_a_mistake_in_a_dialect_is_found_with_its_place(change, said):
    row = row_of("cohere-as-data.yaml")
    change(row["dialect"])

    with pytest.raises(ConfigurationError, match=said):
        check_row("acme", row)


def test_a_row_without_a_dialect_says_so():
    with pytest.raises(ConfigurationError, match="needs a `dialect`"):
        declared("http://127.0.0.1:1")


def test_a_mistake_in_a_template_names_the_provider():
    row = row_of("cohere-as-data.yaml")
    row["dialect"]["request"]["body"]["model"] = "$modle"

    with pytest.raises(ConfigurationError, match=r"^data: dialect.request.body: .*modle"):
        declared("http://127.0.0.1:1", **row)


async def test_a_file_in_providers_d_is_a_provider(tmp_path, monkeypatch):
    from faultmaven.config.settings import load_settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

    (tmp_path / "faultmaven.yaml").write_text("{}")
    (tmp_path / "providers.d").mkdir()
    for file in FILES:
        shutil.copy(file, tmp_path / "providers.d")
    async with FakeUpstream() as upstream:
        monkeypatch.setenv("FAULTMAVEN_CONFIG", str(tmp_path / "faultmaven.yaml"))
        monkeypatch.setenv("OLLAMA_API_BASE", upstream.url)
        async with ProviderRegistry(load_settings()) as registry:
            response = await registry.get_provider("ollama-as-data").generate("Hi")

    assert response.content
    assert upstream.last_request.path == "/api/chat"
    assert response.cost_usd == 0.0


async def test_what_the_template_has_no_place_for_is_told():
    row = row_of("cohere-as-data.yaml")
    del row["dialect"]["request"]["body"]["seed"]
    async with (
        FakeUpstream() as upstream,
        declared(upstream.base_url_for("cohere"), **row) as data,
    ):
        response = await data.generate("Hi", seed=1)

    assert "seed" not in upstream.last_request.json
    assert response.route.unsupported == ["seed was not sent: m does not take it"]


async def test_model_and_streaming_may_be_in_the_path():
    row = row_of("ollama-as-data.yaml")
    row["dialect"] |= {"path": "/one/{model}", "stream_path": "/many/{model}"}
    async with FakeUpstream() as upstream, declared(upstream.url, **row) as data:
        for call in (data.generate("Hi", model="a/b"), consume(data.stream("Hi", model="a/b"))):
            with pytest.raises(LLMError):
                await call

    assert [r.path for r in upstream.requests] == ["/one/a/b", "/many/a/b"]


async def test_without_a_stream_the_answer_comes_whole():
    row = row_of("cohere-as-data.yaml")
    del row["dialect"]["stream"]
    async with (
        FakeUpstream() as upstream,
        declared(upstream.base_url_for("cohere"), **row) as data,
    ):
        chunks = await consume(data.stream("Hi"))

    assert len(chunks) == 1
    assert assemble(chunks).content
    assert upstream.last_request.json["stream"] is False


def test_an_unusual_error_is_found_where_the_dialect_says():
    row = row_of("cohere-as-data.yaml")
    row["dialect"]["errors"] = {"message": "/why/text", "code": "/why/nr"}

    provider = declared("http://127.0.0.1:1", **row)
    error = provider._read_error(400, {}, b'{"why": {"text": "too odd", "nr": "odd"}}')
    other = provider._read_error(503, {}, b"<html>down</html>")

    assert (error.upstream_message, error.code) == ("too odd", "odd")
    assert other.retryable


async def consume(chunks):
    return [chunk async for chunk in chunks]
