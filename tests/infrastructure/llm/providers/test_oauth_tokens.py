"""Tokens that expire: fetched once, kept, renewed before their end."""

import asyncio

import pytest

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ResponseFormatError,
    ServerError,
)
from faultmaven.infrastructure.llm.http import HTTPTransport
from faultmaven.infrastructure.llm.providers.oauth_tokens import (
    AccessToken,
    TokenCache,
    TokenService,
)
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.secret import redact
from tests.infrastructure.llm.providers.canned import Canned


def make_cache(life_s=3600.0):
    made = []
    clock = FakeClock()

    async def fetch():
        await asyncio.sleep(0)
        made.append(f"token-number-{len(made)}")
        return AccessToken(made[-1], life_s)

    return TokenCache(fetch, clock), clock, made


@pytest.mark.parametrize(
    ("life_s", "passed_s", "fetches"),
    [(3600, 0, 1), (3600, 3299, 1), (3600, 3300, 2), (60, 29, 1), (60, 30, 2)],
)
async def test_a_token_is_kept_until_shortly_before_its_end(life_s, passed_s, fetches):
    cache, clock, made = make_cache(life_s)

    first = await cache.get()
    clock.advance(passed_s)
    last = await cache.get()

    assert len(made) == fetches
    assert (first == last) == (fetches == 1)


async def test_callers_side_by_side_fetch_once():
    cache, _, made = make_cache()

    tokens = await asyncio.gather(*(cache.get() for _ in range(20)))

    assert len(made) == 1
    assert set(tokens) == {"token-number-0"}


def test_a_cache_serves_several_loops():
    cache, clock, made = make_cache()

    first = asyncio.run(cache.get())
    clock.advance(4000)
    second = asyncio.run(cache.get())

    assert [first, second] == made


async def test_a_token_is_in_no_text():
    cache, _, _ = make_cache()

    token = await cache.get()

    assert token not in redact(f"sent {token}")
    assert "canary" not in repr(AccessToken("canary-0123456789", 1.0))


@pytest.fixture
async def service(canned):
    transport = HTTPTransport("acme")
    yield TokenService(transport, "acme", f"{canned.url}/token", "Check ACME_SECRET.")
    await transport.close()


async def test_a_form_is_posted_and_read(canned, service):
    canned.answer({"access_token": "abc", "expires_in": "120"})

    token = await service.fetch({"grant_type": "client_credentials", "scope": "a b"})

    assert token == AccessToken("abc", 120.0)
    assert canned.last.path == "/token"
    assert canned.last.body == b"grant_type=client_credentials&scope=a+b"
    assert canned.last.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Canned({"error": "invalid_client", "error_description": "no"}, 401), AuthenticationError),
        (Canned({"error": "invalid_grant", "error_description": "no"}, 400), AuthenticationError),
        (Canned({"error": "oops"}, 500), ServerError),
        (Canned(b"<html>"), ResponseFormatError),
        (Canned({"token": "x"}), ResponseFormatError),
    ],
)
async def test_what_goes_wrong_is_told_apart(canned, service, answer, kind):
    canned.answer(answer)

    with pytest.raises(kind):
        await service.fetch({"grant_type": "x"})


async def test_a_refusal_says_what_to_do(canned, service):
    canned.answer(Canned({"error": "invalid_client", "error_description": "Expired."}, 401))

    with pytest.raises(AuthenticationError, match=r"acme: .*Expired\. Check ACME_SECRET\."):
        await service.fetch({"grant_type": "x"})
