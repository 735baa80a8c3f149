"""boto3's Converse and ours send the same, and botocore signs as we do."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.sigv4 import AWSCredentials, SigningScope, sign_request
from tests.vendor_sdks.cases import (
    CALL_ID,
    CASES,
    FUNCTION,
    PARAMETERS,
    PNG,
    SCHEMA,
    make_pairs,
    make_provider,
)
from tests.vendor_sdks.comparison import Meant, differences, unused

boto3 = pytest.importorskip("boto3")

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "secret-of-a-test-0123"
TOOL = {
    "toolSpec": {
        "name": "get_weather",
        "description": FUNCTION["description"],
        "inputSchema": {"json": PARAMETERS},
    }
}
USER = {"role": "user", "content": [{"text": "Hello"}]}
BOUND = {"maxTokens": 64}
SAMPLED = {
    "system": [{"text": "Be brief."}],
    "messages": [USER],
    "inferenceConfig": {
        "maxTokens": 64,
        "temperature": 0.25,
        "topP": 0.5,
        "stopSequences": ["END"],
    },
}
CALLS = {
    "chat": SAMPLED,
    "stream": SAMPLED,
    "tools": {
        "messages": [USER],
        "inferenceConfig": BOUND,
        "toolConfig": {"tools": [TOOL], "toolChoice": {"any": {}}},
    },
    "tool results": {
        "messages": [
            {"role": "user", "content": [{"text": "Weather in Oslo?"}]},
            {
                "role": "assistant",
                "content": [
                    {"text": "I look."},
                    {
                        "toolUse": {
                            "toolUseId": CALL_ID,
                            "name": "get_weather",
                            "input": {"city": "Oslo"},
                        }
                    },
                ],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": CALL_ID, "content": [{"text": "rain"}]}}],
            },
        ],
        "inferenceConfig": BOUND,
        "toolConfig": {"tools": [TOOL]},
    },
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "What is this?"},
                    {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}},
                ],
            }
        ],
        "inferenceConfig": BOUND,
    },
    "structured": {
        "messages": [USER],
        "inferenceConfig": BOUND,
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"name": "answer", "schema": json.dumps(SCHEMA)}},
            }
        },
    },
}
MEANT: list[Meant] = []


@pytest.fixture(scope="module")
def pairs(upstream):
    def ours():
        return make_provider(
            upstream, "bedrock", "bedrock", BEDROCK_MODEL=MODEL, AWS_REGION=REGION,
            AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        )  # fmt: skip

    client = boto3.client(
        "bedrock-runtime", region_name=REGION, endpoint_url=upstream.url,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
    )  # fmt: skip

    def theirs(name):
        if CASES[name].streams:
            list(client.converse_stream(modelId=MODEL, **CALLS[name])["stream"])
        else:
            client.converse(modelId=MODEL, **CALLS[name])

    yield make_pairs(upstream, ours, theirs)
    client.close()


@pytest.mark.parametrize("case", CASES)
def test_requests_are_the_same(pairs, case):
    assert differences(case, *pairs[case], MEANT) == []


@pytest.mark.parametrize("case", CASES)
def test_the_address_is_quoted_alike(pairs, case):
    ours, theirs = pairs[case]

    assert ours.raw_target == theirs.raw_target


def test_meant_differences_occur(pairs):
    assert unused(pairs, MEANT) == []


words = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Cs"]), max_size=12)


@given(
    segments=st.lists(words.filter(lambda text: text not in {".", ".."}), max_size=3),
    value=words,
    body=st.binary(max_size=40),
    token=st.none() | st.just("token-of-a-session"),
)
def test_botocore_signs_alike(segments, value, body, token):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    path = "/".join(quote(segment, safe="") for segment in ["model", *segments])
    url = f"https://bedrock-runtime.{REGION}.amazonaws.com/{path}?a={quote(value, safe='')}"
    headers = {"Content-Type": "application/json", "X-Amzn-Bedrock-Trace": value}
    theirs = AWSRequest("POST", url, dict(headers), body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, token), "bedrock", REGION).add_auth(theirs)
    now = datetime.strptime(theirs.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    ours = sign_request(
        "POST", url, headers, body, now=now,
        credentials=AWSCredentials(ACCESS_KEY, SECRET_KEY, token),
        scope=SigningScope(REGION, "bedrock"),
    )  # fmt: skip

    assert ours["Authorization"] == theirs.headers["Authorization"]
