"""Snowflake's key pairs: what is signed, when, and what is said of keys that cannot be used."""

import asyncio
import base64
import hashlib
import json
import sys

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.snowflake_provider import SnowflakeProvider
from faultmaven.infrastructure.llm.providers.snowflake_tokens import KeyPair
from faultmaven.infrastructure.llm.retry import FakeClock

PASSPHRASE = "a passphrase for a test"
ANSWER = {
    "id": "c1", "model": "model-x", "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}  # fmt: skip


def pem(key, encryption=None):
    encryption = encryption or NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make(base_url, source, **settings):
    variables = {"account": "my_org-acme.us-east-1", "user": "jane", "private_key": source}
    variables |= settings.pop("variables", {})
    given = {"models": ["model-x"], "max_retries": 0, "row": {"api_key_optional": True}}
    return SnowflakeProvider(
        name="snowflake", base_url=base_url, variables=variables, **{**given, **settings}
    )


def parts_of(token):
    head, claims, signature = token.split(".")
    decoded = [
        base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in (head, claims, signature)
    ]
    return json.loads(decoded[0]), json.loads(decoded[1]), decoded[2]


async def test_a_key_pair_signs_what_snowflake_checks(canned, key):
    canned.answer(ANSWER)
    async with make(canned.url, pem(key)) as snowflake:
        await snowflake.generate("Hi")

    headers = canned.last.headers
    token = headers["authorization"].removeprefix("Bearer ")
    head, claims, signature = parts_of(token)
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert headers["x-snowflake-authorization-token-type"] == "KEYPAIR_JWT"
    assert head == {"alg": "RS256", "typ": "JWT"}
    assert claims["sub"] == "MY_ORG-ACME.JANE"
    assert claims["iss"] == f"MY_ORG-ACME.JANE.SHA256:{fingerprint}"
    assert claims["exp"] - claims["iat"] == 3600
    said = token.rpartition(".")[0].encode()
    public.verify(signature, said, padding.PKCS1v15(), hashes.SHA256())


async def test_a_token_is_kept_until_shortly_before_its_end(canned, key):
    clock = FakeClock()
    canned.answer(ANSWER)
    async with make(canned.url, pem(key), clock=clock) as snowflake:
        await asyncio.gather(*(snowflake.generate("Hi") for _ in range(3)))
        first = snowflake._tokens._good_until
        clock.advance(3300)
        await snowflake.generate("Hi")

    assert len({request.headers["authorization"] for request in canned.seen[:3]}) == 1
    assert snowflake._tokens._good_until == first + 3300


async def test_a_token_that_is_given_goes_before_the_key(canned, key):
    canned.answer(ANSWER)
    async with make(canned.url, pem(key), api_key="token-for-a-test") as snowflake:
        await snowflake.generate("Hi")

    assert canned.last.headers["authorization"] == "Bearer token-for-a-test"
    assert "x-snowflake-authorization-token-type" not in canned.last.headers


async def test_an_encrypted_key_is_read_from_a_file(key, tmp_path):
    file = tmp_path / "rsa_key.p8"
    file.write_text(pem(key, BestAvailableEncryption(PASSPHRASE.encode())))

    token = await KeyPair("snowflake", "acme", "jane", str(file), PASSPHRASE).sign()

    assert parts_of(token.value)[1]["sub"] == "ACME.JANE"


@pytest.mark.parametrize(
    ("source", "passphrase", "said"),
    [
        ("encrypted", None, "passphrase"),
        ("encrypted", "another one", "passphrase"),
        ("text", None, "no private key"),
        ("other", None, "not an RSA key"),
        ("file", None, "No such file"),
    ],
)
async def test_a_key_that_cannot_be_used_is_told(key, tmp_path, source, passphrase, said):
    sources = {
        "encrypted": pem(key, BestAvailableEncryption(PASSPHRASE.encode())),
        "text": "-----BEGIN PRIVATE KEY-----\nnothing of the kind\n-----END PRIVATE KEY-----",
        "other": pem(ec.generate_private_key(ec.SECP256R1())),
        "file": str(tmp_path / "rsa_key.p8"),
    }
    with pytest.raises(ProviderNotConfiguredError, match=said) as told:
        await KeyPair("snowflake", "acme", "jane", sources[source], passphrase).sign()

    assert "SNOWFLAKE_PRIVATE_KEY" in str(told.value)
    assert "BEGIN" not in str(told.value)


async def test_a_key_without_a_user_is_no_key(canned, key):
    async with make(canned.url, pem(key), variables={"user": ""}) as snowflake:
        with pytest.raises(ProviderNotConfiguredError):
            await snowflake.generate("Hi")

    assert canned.seen == []


async def test_without_the_extra_it_says_what_to_install(key, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)

    with pytest.raises(ConfigurationError, match=r"faultmaven\[snowflake\]"):
        await KeyPair("snowflake", "acme", "jane", pem(key)).sign()


def test_a_key_shows_itself_nowhere(key):
    pair = KeyPair("snowflake", "acme", "jane", pem(key), PASSPHRASE)

    assert "BEGIN" not in repr(pair)
    assert PASSPHRASE not in repr(pair)
