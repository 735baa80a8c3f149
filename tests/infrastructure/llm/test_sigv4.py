"""Signatures of AWS's published test suite, and what a signature must not depend on."""

from datetime import UTC, datetime

import pytest

from faultmaven.infrastructure.llm.sigv4 import AWSCredentials, SigningScope, sign_request

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
CREDENTIALS = AWSCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE = SigningScope("us-east-1", "service")
HOST = "https://example.amazonaws.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Name in the suite, method, what follows the host, headers, body, signature.
VECTORS = [
    ("get-vanilla", "GET", "/", {}, None,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "/", {}, None,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", {}, None,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("post-x-www-form-urlencoded", "POST", "/", FORM, b"Param1=value1",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ("get-utf8", "GET", "/\u1234", {}, None,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("get-space", "GET", "/example space/", {}, None,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("get-slashes", "GET", "//example//", {}, None,
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    ("get-relative-relative", "GET", "/example1/example2/../..", {}, None,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-unreserved", "GET", f"/-._~0123456789{LETTERS}", {}, None,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-header-value-trim", "GET", "/",
     {"My-Header1": " value1", "My-Header2": ' "a   b   c"'}, None,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
]  # fmt: skip


def sign(method="POST", url=f"{HOST}/", headers=None, body=None, **changes):
    settings = {"credentials": CREDENTIALS, "scope": SUITE, "now": NOW, **changes}
    return sign_request(method, url, headers or {}, body, **settings)


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "expected"),
    [pytest.param(*vector[1:], id=vector[0]) for vector in VECTORS],
)
def test_signature_is_that_of_the_published_suite(method, target, headers, body, expected):
    signed = sign(method, HOST + target, headers, body)

    assert signed["Authorization"].rpartition("Signature=")[2] == expected


def test_signature_is_that_of_the_general_reference():
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"

    signed = sign("GET", url, headers, scope=SigningScope("us-east-1", "iam"))

    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_session_token_is_sent_and_signed():
    credentials = AWSCredentials("AKIDEXAMPLE", "secret", "token-canary")

    signed = sign(credentials=credentials)

    assert signed["X-Amz-Security-Token"] == "token-canary"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in signed["Authorization"]
    assert "secret" not in repr(credentials)
    assert "canary" not in repr(credentials)


@pytest.mark.parametrize("name", ["User-Agent", "Connection", "Content-Length"])
def test_headers_that_change_on_the_way_are_not_signed(name):
    assert sign(headers={name: "x"})["Authorization"] == sign()["Authorization"]


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://h.example:443/", "https://h.example/"),
        ("http://h.example:80/", "http://h.example/"),
        ("https://H.example/", "https://h.example/"),
    ],
)
def test_a_host_is_signed_as_it_is_sent(url, same_as):
    assert sign(url=url)["Authorization"] == sign(url=same_as)["Authorization"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"url": "http://127.0.0.1:8080/"}, {"url": "http://127.0.0.1:8081/"}),
        ({"body": b"{}"}, {"body": b"[]"}),
        ({"url": f"{HOST}/model/a%3A0/x"}, {"url": f"{HOST}/model/a:0/x"}),
        ({"scope": SigningScope("us-east-1", "bedrock")}, {"scope": SUITE}),
        ({"headers": {"Content-Type": "text/plain"}}, {}),
    ],
    ids=["port", "body", "quoting", "service", "header"],
)
def test_what_is_sent_is_signed(one, other):
    assert sign(**one)["Authorization"] != sign(**other)["Authorization"]
