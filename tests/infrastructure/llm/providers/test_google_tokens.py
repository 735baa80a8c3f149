"""Google's tokens, fetched from a token service on the loopback."""

import asyncio
import base64
import json
import sys
from urllib.parse import parse_qs

import pytest

pytest.importorskip("google.auth")

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    LLMConnectionError,
    ProviderNotConfiguredError,
)
from faultmaven.infrastructure.llm.http import HTTPTransport
from faultmaven.infrastructure.llm.providers.google_tokens import GoogleTokens
from faultmaven.testing import broken_port
from tests.infrastructure.llm.providers.canned import Canned

SCOPE = "https://scope.invalid/cloud"


@pytest.fixture(scope="session")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account(private_key, token_url):
    return {
        "type": "service_account",
        "project_id": "project-1",
        "private_key_id": "key-1",
        "private_key": private_key,
        "client_email": "robot@project-1.invalid",
        "token_uri": token_url,
    }


@pytest.fixture
async def transport():
    transport = HTTPTransport("vertex_ai")
    yield transport
    await transport.close()


def make_tokens(transport, source):
    return GoogleTokens("vertex_ai", source, SCOPE, lambda: transport)


async def test_a_service_account_signs_for_a_token(canned, transport, private_key, tmp_path):
    canned.answer({"access_token": "token-of-a-robot", "expires_in": 3600})
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account(private_key, f"{canned.url}/token")))
    tokens = make_tokens(transport, str(file))

    headers = await tokens.headers()

    form = parse_qs(canned.last.body.decode())
    claims = form["assertion"][0].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert headers == {"Authorization": "Bearer token-of-a-robot"}
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert said["iss"] == "robot@project-1.invalid"
    assert said["scope"] == SCOPE
    assert canned.last.path == "/token"


async def test_a_token_is_kept(canned, transport, private_key):
    canned.answer({"access_token": "token-of-a-robot", "expires_in": 3600})
    source = json.dumps(account(private_key, f"{canned.url}/token"))
    tokens = make_tokens(transport, source)

    await asyncio.gather(*(tokens.headers() for _ in range(10)))

    assert len(canned.seen) == 1


async def test_a_token_near_its_end_is_renewed(canned, transport, private_key):
    canned.answer(
        {"access_token": "first-token", "expires_in": 10},
        {"access_token": "second-token", "expires_in": 3600},
    )
    tokens = make_tokens(transport, json.dumps(account(private_key, f"{canned.url}/token")))

    first = await tokens.headers()
    second = await tokens.headers()

    assert first["Authorization"] == "Bearer first-token"
    assert second["Authorization"] == "Bearer second-token"


class Rerouted(HTTPTransport):
    """Takes what is meant for Google's fixed address to another."""

    url = ""

    async def fetch(self, method, url, headers, body, **bounds):
        assert url == "https://oauth2.googleapis.com/token"
        return await super().fetch(method, self.url, headers, body, **bounds)


async def test_a_user_names_the_project_that_is_billed(canned):
    canned.answer({"access_token": "token-of-a-user", "expires_in": 3600})
    info = {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret-of-a-client",
        "refresh_token": "refresh-token",
        "quota_project_id": "project-2",
    }
    transport = Rerouted("vertex_ai")
    transport.url = f"{canned.url}/token"
    tokens = make_tokens(transport, json.dumps(info))

    headers = await tokens.headers()
    await transport.close()

    assert headers["Authorization"] == "Bearer token-of-a-user"
    assert b"refresh_token=refresh-token" in canned.last.body
    assert headers["x-goog-user-project"] == "project-2"


async def test_refused_credentials_say_what_to_do(canned, transport, private_key):
    canned.answer(Canned({"error": "invalid_grant", "error_description": "Gone."}, 400))
    tokens = make_tokens(transport, json.dumps(account(private_key, f"{canned.url}/token")))

    with pytest.raises(AuthenticationError, match="gcloud auth") as caught:
        await tokens.headers()

    assert private_key not in str(caught.value)


@pytest.mark.parametrize("text", ["no json", "{broken"])
async def test_a_file_that_cannot_be_read_is_named(transport, tmp_path, text):
    file = tmp_path / "account.json"
    file.write_text(text)
    source = text if text.startswith("{") else str(file)

    with pytest.raises(ProviderNotConfiguredError, match="cannot be read: not JSON"):
        await make_tokens(transport, source).headers()


async def test_a_missing_file_is_named(transport, tmp_path):
    missing = tmp_path / "missing.json"

    with pytest.raises(ProviderNotConfiguredError, match=r"missing\.json .*No such file"):
        await make_tokens(transport, str(missing)).headers()


@pytest.mark.parametrize("change", [{"private_key": "no key"}, {"client_email": ...}])
async def test_a_broken_account_is_a_configuration_error(transport, private_key, change):
    info = {**account(private_key, "http://127.0.0.1:1/"), **change}
    info = {name: value for name, value in info.items() if value is not ...}

    with pytest.raises(ProviderNotConfiguredError):
        await make_tokens(transport, json.dumps(info)).headers()


async def test_a_service_that_cannot_be_reached_is_a_connection_error(transport, private_key):
    async with broken_port("refused") as port:
        source = json.dumps(account(private_key, f"{port.url()}/token"))
        tokens = make_tokens(transport, source)

        with pytest.raises(LLMConnectionError):
            await tokens.headers()


async def test_without_the_extra_it_says_what_to_install(transport, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("google.auth")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.auth", None)

    with pytest.raises(ConfigurationError, match=r"faultmaven\[vertex\]"):
        await make_tokens(transport, "{}").headers()


async def test_without_a_source_googles_own_places_are_looked_at(
    canned, transport, private_key, tmp_path, monkeypatch
):
    canned.answer({"access_token": "token-of-a-robot", "expires_in": 3600})
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account(private_key, f"{canned.url}/token")))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    headers = await make_tokens(transport, None).headers()

    assert headers["Authorization"] == "Bearer token-of-a-robot"
