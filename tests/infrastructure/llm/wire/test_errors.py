"""Error bodies of every shape, and the recorded ones."""

import json

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from faultmaven.infrastructure.llm.secret import remember_secret
from faultmaven.infrastructure.llm.wire.errors import (
    MAX_MARKUP_BYTES,
    parse_error,
    parse_error_object,
)
from tests.growth import MOST, TIMES, Growth
from tests.infrastructure.llm.wire.error_words import word_of

from .dialect_checks import recorded


def parse(status, body, headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_error(status, headers or {}, data)


@pytest.mark.parametrize(
    ("exchange", "expected"),
    recorded(
        *[
            "openai-chat",
            "mistral-chat",
            "openai-responses",
            "openai-completions",
            "openai-embeddings",
            "openai-models",
            "anthropic-messages",
            "anthropic-models",
            "anthropic-count-tokens",
            "gemini-generate",
            "gemini-embeddings",
            "gemini-models",
            "gemini-count-tokens",
            "vertex-predict-embeddings",
            "cohere-v1",
            "cohere-v2",
            "cohere-embed",
            "ollama-chat",
            "ollama-generate",
            "ollama-embed",
            "ollama-models",
            "bedrock-converse",
            "bedrock-invoke",
            "bedrock-embeddings",
            "bedrock-models",
            "bedrock-count-tokens",
            "watsonx-generation",
            "hf-inference",
            "hf-embeddings",
        ],
        kind="error",
    ),
)
def test_recorded_error_is_read(exchange, expected):
    response = exchange["response"]
    body = response["text"].encode() if "text" in response else response["body"]

    error = parse(response["status"] or 200, body, response["headers"] or {})

    assert error.upstream_message == expected["message"]
    assert word_of(error) in [expected["class"], *expected.get("class_also", ())]
    assert error.retryable is expected["retryable"]
    code = expected["error_code"]
    assert error.code == (None if code is None else str(code))
    assert error.error_type == expected["error_type"]
    if wait := expected.get("retry_after"):
        assert error.retry_after_s == float(wait)


SHAPES = {
    "openai": {"error": {"message": "boom", "type": "t", "code": "c"}},
    "flat": {"object": "error", "message": "boom", "type": "t", "code": "c"},
    "anthropic": {"type": "error", "error": {"type": "t", "message": "boom", "error_code": "c"}},
    "google in a list": [{"error": {"message": "boom", "status": "t", "code": "c"}}],
    "list of errors": {"errors": [{"message": "boom", "code": "c", "type": "t"}]},
    "detail object": {"detail": {"message": "boom", "code": "c", "type": "t"}},
    "text and code": {"error": "boom", "code": "c", "type": "t"},
    "failed response": {
        "type": "response.failed",
        "response": {"error": {"message": "boom", "code": "c", "type": "t"}},
    },
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_shape_is_understood(body):
    error = parse(400, body)

    assert (error.upstream_message, error.error_type, error.code) == ("boom", "t", "c")
    assert error.message == "HTTP 400: boom"
    assert error.status == 400


TEXTS = [
    ({"error": "plain words"}, "plain words"),
    ({"detail": "Unauthorized"}, "Unauthorized"),
    ({"statusCode": 401, "message": "no key"}, "no key"),
    ({"errors": ["first", "second"]}, "first; second"),
    ({"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]}, "messages.0: Field required"),
    ({"message": {"detail": [{"loc": ["body", "n"], "msg": "too small"}]}}, '{"detail":[{"loc":["body","n"],"msg":"too small"}]}'),
    (b"<html><head><title>x</title><style>p{}</style></head><body><h1>502 Bad &amp; Gateway</h1></body>", "502 Bad & Gateway"),
    (b"  upstream\n went away ", "upstream went away"),
    (b'event: error\ndata: {"error":{"message":"in an event"}}\n\n', "in an event"),
    (b"\xef\xbb\xbf" + b'{"message":"after a BOM"}', "after a BOM"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), TEXTS, ids=[t for _, t in TEXTS])
def test_text_is_found(body, text):
    assert parse(502, body).upstream_message == text


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"3", b"<br>", b"\xff\xfe"])
def test_body_without_words_names_the_status(body):
    error = parse(502, body)

    assert type(error) is ServerError
    assert "502" in error.message


STATUSES = [
    (400, InvalidRequestError, False),
    (401, AuthenticationError, False),
    (402, BudgetExceededError, False),
    (403, PermissionDeniedError, False),
    (404, ModelNotFoundError, False),
    (408, LLMTimeoutError, True),
    (409, InvalidRequestError, False),
    (413, InvalidRequestError, False),
    (422, InvalidRequestError, False),
    (424, ServerError, False),
    (429, RateLimitError, True),
    (500, ServerError, True),
    (501, ServerError, False),
    (502, ServerError, True),
    (503, OverloadedError, True),
    (504, ServerError, True),
    (522, ServerError, True),
    (529, OverloadedError, True),
]


@pytest.mark.parametrize(("status", "kind", "retryable"), STATUSES)
def test_status_decides(status, kind, retryable):
    error = parse(status, {"error": {"message": "no."}})

    assert type(error) is kind
    assert error.retryable is retryable


AMBIGUOUS = [
    (400, "Your credit balance is too low to access the API.", BudgetExceededError),
    (400, "You have reached your specified API usage limits.", BudgetExceededError),
    (429, "You exceeded your current quota, please check your plan", BudgetExceededError),
    (403, "Key limit reached: insufficient credits", BudgetExceededError),
    (400, "prompt is too long: 300000 tokens > 200000 maximum", ContextLengthError),
    (413, "Input is too long for requested model: context window", ContextLengthError),
    (500, "the request exceeds the available context size", ContextLengthError),
    (400, "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens", InvalidRequestError),
    (400, "Output blocked by content filtering policy", ContentFilterError),
    (400, "API key expired. Please renew the API key.", AuthenticationError),
    (400, "acme/one is not a valid model ID", ModelNotFoundError),
    (500, "The engine is currently overloaded", OverloadedError),
    (498, "Flex tier capacity exceeded", OverloadedError),
    (498, "blocked", ContentFilterError),
    (401, "insufficient quota", AuthenticationError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "text", "kind"), AMBIGUOUS, ids=[t[:30] for _, t, _ in AMBIGUOUS]
)
def test_message_tells_ambiguous_statuses_apart(status, text, kind):
    assert type(parse(status, {"error": {"message": text}})) is kind


def test_google_quota_of_a_window_is_a_rate_limit_with_its_delay():
    error = parse(429, [{"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota",
        "details": [{"@type": "RetryInfo", "retryDelay": "17s"}],
    }}])  # fmt: skip

    assert type(error) is RateLimitError
    assert error.retry_after_s == 17.0


def test_delay_in_the_words_is_read_and_the_header_wins():
    body = {"error": {"message": "Rate limit reached. Please try again in 1m30.5s. Visit us."}}

    assert parse(429, body).retry_after_s == 90.5
    assert parse(429, body, {"Retry-After": "3"}).retry_after_s == 3.0


def test_should_retry_header_wins():
    assert parse(503, b"", {"X-Should-Retry": "false"}).retryable is False
    assert parse(400, b"", {"x-should-retry": "true"}).retryable is True


@pytest.mark.parametrize("name", ["request-id", "X-Request-Id", "x-amzn-RequestId"])
def test_request_id_of_the_header_is_kept(name):
    assert parse(500, {"request_id": "body"}, {name: "abc"}).request_id == "abc"
    assert parse(500, {"request_id": "body"}).request_id == "body"


def test_provider_behind_a_gateway_is_heard():
    raw = json.dumps({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}})
    error = parse(400, {"error": {"message": "Provider returned error", "metadata": {"raw": raw}}})

    assert type(error) is ContextLengthError
    assert error.upstream_message == "Provider returned error"
    assert "prompt is too long" in error.message


INSIDE = [
    ({"error": {"message": "x", "code": 429}}, RateLimitError, 429),
    ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, OverloadedError, 200),
    ({"error": {"type": "api_error", "message": "Internal server error"}}, ServerError, 200),
    ({"error": {"type": "invalid_request_error", "message": "prompt is too long"}}, ContextLengthError, 200),
    ({"error": {"type": "rate_limit_error", "message": "slow down"}}, RateLimitError, 200),
    ({"error": {"message": "the field n is required"}}, InvalidRequestError, 200),
    ({"error": "something odd"}, ServerError, 200),
    ("odd", ServerError, 200),
]  # fmt: skip


@pytest.mark.parametrize(("data", "kind", "status"), INSIDE)
def test_error_inside_a_successful_reply(data, kind, status):
    error = parse_error_object(data)

    assert type(error) is kind
    assert error.status == status


def test_secret_is_redacted_and_text_is_capped():
    remember_secret("a-very-secret-value")
    error = parse(401, {"error": {"message": "bad key a-very-secret-value " + "é" * 5000}})

    assert "a-very-secret-value" not in repr(error) + error.message + (
        error.upstream_message or ""
    )
    assert "[redacted]" in error.message
    assert len((error.upstream_message or "").encode()) <= 2048


# Up to what is looked at of markup, and beyond it.
@pytest.mark.parametrize("size", [MAX_MARKUP_BYTES // TIMES, MAX_MARKUP_BYTES])
@pytest.mark.parametrize("text", ["<script", "<", "<style></style>", "model ", "try again in 1"])
def test_hostile_markup_takes_linear_time(text, size):
    growth = Growth()
    for times in growth.rounds():
        body = (text * (size * times // len(text))).encode()
        with growth.of(times):
            parse(502, body)

    assert growth.factor < MOST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["error", "errors", "detail", "message", "code", "type", "status", "loc",
                         "details", "metadata", "raw", "retryDelay", "innererror"]),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from([200, 400, 401, 429, 500, 503]))
def test_any_json_gives_an_error(data, status):
    error = parse(status, data)

    assert isinstance(error, LLMError)
    assert word_of(error)
    assert error.code is None or isinstance(error.code, str)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_error(data):
    assert isinstance(parse_error(500, {}, data), LLMError)
