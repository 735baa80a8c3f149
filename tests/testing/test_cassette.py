"""Recording and playing back: the same answers, no server, no keys."""

import asyncio
import json
import time

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.providers.gemini_provider import GeminiProvider
from faultmaven.infrastructure.llm.providers.openai_provider import OpenAIProvider
from faultmaven.infrastructure.llm.secret import remember_secret
from faultmaven.infrastructure.llm.wire.assemble import assemble
from faultmaven.testing import CassetteTransport, FakeUpstream, use_cassette
from faultmaven.testing.tape import Tape, Taped, clean, clean_url, make_request_entry
from tests.splits import cut_places, split

CANARY = "canary-8d1f0b2c-do-not-record"
# Nobody listens here.
NOWHERE = "http://127.0.0.1:9/v1"


def acme(base_url=NOWHERE, *, kind=OpenAIProvider, key="any-key-will-do", **settings):
    settings = {"max_retries": 0, "models": ["m"]} | settings
    return kind(name="acme", base_url=base_url, api_key=key, **settings)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassettes" / "talk.json"


def comparable(response):
    data = response.to_dict()
    for name in ("response_time_ms", "route"):
        data.pop(name)
    return data


async def consume(chunks):
    return [chunk async for chunk in chunks]


async def test_the_first_run_records_and_later_ones_play(path, upstream):
    with use_cassette(path):
        async with acme(upstream.base_url) as provider:
            recorded = await provider.generate("Hi")
    with use_cassette(path):
        async with acme() as provider:
            played = await provider.generate("Hi")

    assert comparable(played) == comparable(recorded)
    assert len(upstream.requests) == 1


async def test_streams_keep_their_pieces(path, upstream):
    upstream.reply(chunks=["Grüße ", "aus ", "dem ", "Süden"])
    with use_cassette(path):
        async with acme(upstream.base_url) as provider:
            recorded = await consume(provider.stream("Hi"))
    with use_cassette(path, "none"):
        async with acme() as provider:
            played = await consume(provider.stream("Hi"))

    assert played == recorded
    assert assemble(played).content == "Grüße aus dem Süden"


async def test_streams_can_be_played_as_slowly_as_they_came(path):
    request = make_request_entry("POST", f"{NOWHERE}/chat/completions", b"{}")
    pieces = [(0, b"a"), (40, b"b"), (40, b"c")]
    Tape(path, [Taped(request, 200, {}, pieces=pieces)]).save()
    transport = CassetteTransport(None, path, speed=2)
    reply = await transport.open_stream(
        "POST", NOWHERE + "/chat/completions", {}, b"{}", timeout_s=1
    )

    started = time.perf_counter()
    data = [await reply.read() for _ in range(4)]

    assert data == [b"a", b"b", b"c", b""]
    assert time.perf_counter() - started >= 0.04


async def test_binary_streams_are_kept_byte_for_byte(path):
    request = make_request_entry("POST", "http://h/x", b"{}")
    pieces = [(1, b"\x00\x00\xff\xfe"), (2, b"\x80")]
    Tape(path, [Taped(request, 200, {}, pieces=pieces)]).save()

    assert Tape.load(path).exchanges[0].pieces == pieces


async def test_retries_play_in_the_order_they_were_made(path, upstream):
    upstream.script(["status:503", "ok", "status:503", "ok"])
    with use_cassette(path):
        async with acme(upstream.base_url, max_retries=1) as provider:
            await provider.generate("Hi")
    with use_cassette(path):
        async with acme(max_retries=1) as provider:
            response = await provider.generate("Hi")

    assert [a.outcome for a in response.route.attempts] == ["ServerError", "ok"] or [
        a.outcome for a in response.route.attempts
    ] == ["OverloadedError", "ok"]


async def test_errors_play_as_errors(path, upstream):
    upstream.script(["status:401"])
    for base_url in (upstream.base_url, NOWHERE):
        with use_cassette(path):
            async with acme(base_url) as provider:
                with pytest.raises(AuthenticationError):
                    await provider.generate("Hi")

    assert len(upstream.requests) == 1


async def test_a_stream_that_was_left_ends_where_it_was_left(path, upstream):
    upstream.reply(chunks=["a", "b", "c", "d"])
    upstream.script(["reset-mid-stream:2"])
    with use_cassette(path):
        async with acme(upstream.base_url) as provider:
            with pytest.raises(StreamInterruptedError):
                await consume(provider.stream("Hi"))
    with use_cassette(path):
        async with acme() as provider:
            with pytest.raises(StreamInterruptedError) as caught:
                await consume(provider.stream("Hi"))

    assert caught.value.partial_text


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"prompt": "Other"}, "differs in messages"),
        ({"prompt": "Hi", "seed": 7}, "differs in seed"),
        ({"prompt": "Hi", "model": "n"}, "differs in model"),
    ],
)
async def test_a_request_that_was_not_recorded_says_what_is_new(path, upstream, ask, said):
    with use_cassette(path):
        async with acme(upstream.base_url) as provider:
            await provider.generate("Hi")
    with use_cassette(path):
        async with acme() as provider:
            with pytest.raises(ConfigurationError, match=said) as caught:
                await provider.generate(**ask)

    assert caught.value.code == "not_recorded"
    assert not caught.value.retryable


async def test_an_exchange_is_played_once(path, upstream):
    with use_cassette(path):
        async with acme(upstream.base_url) as provider:
            await provider.generate("Hi")
    with use_cassette(path):
        async with acme() as provider:
            await provider.generate("Hi")
            with pytest.raises(ConfigurationError, match="have been played"):
                await provider.generate("Hi")
            with pytest.raises(ConfigurationError, match="nothing was recorded for this address"):
                await provider.embed(["Hi"])


async def test_all_records_anew(path, upstream):
    for text in ("one", "two"):
        upstream.reply(text)
        with use_cassette(path, "all"):
            async with acme(upstream.base_url) as provider:
                await provider.generate("Hi")

    assert "two" in path.read_text()
    assert "one" not in path.read_text()
    assert len(upstream.requests) == 2


async def test_behind_a_cassette_only_its_own_block_is(path, upstream):
    async with acme(upstream.base_url) as provider:
        await provider.generate("before")
        with use_cassette(path):
            await provider.generate("within")
        await provider.generate("after")

    assert len(upstream.requests) == 3
    assert len(Tape.load(path).exchanges) == 1


async def test_a_single_provider_takes_a_transport(path, upstream):
    class Counting:
        def __init__(self, inner):
            self.inner, self.closed = inner, 0

        def __getattr__(self, name):
            return getattr(self.inner, name)

        async def close(self):
            self.closed += 1
            await self.inner.close()

    from faultmaven.infrastructure.llm.http import HTTPTransport

    inner = Counting(HTTPTransport("acme"))
    async with acme(upstream.base_url, transport=CassetteTransport(inner, path)) as provider:
        await provider.generate("Hi")
    async with acme(transport=CassetteTransport(None, path)) as provider:
        response = await provider.generate("Hi")

    assert response.content
    assert inner.closed == 1


async def test_a_cassette_without_a_transport_cannot_record(path):
    async with acme(transport=CassetteTransport(None, path)) as provider:
        with pytest.raises(ConfigurationError, match="no transport"):
            await provider.generate("Hi")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9}', '{"version": 1}', "nonsense"])
def test_a_file_that_is_no_cassette_says_so(path, text):
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"talk\.json is (no|a) cassette"):
        CassetteTransport(None, path)


def test_a_missing_file_says_so(path):
    with pytest.raises(ConfigurationError, match="not there"), use_cassette(path, "none"):
        pass
    with (
        pytest.raises(ConfigurationError, match="mode is once"),
        use_cassette(path, "new_episodes"),
    ):
        pass


def cut(text, size):
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_no_key_is_recorded_however_it_comes(path, upstream, size):
    """The canary is sent as the key, in the prompt, and echoed whole and in pieces."""
    upstream.reply(f"Your key is {CANARY}.", chunks=cut(f"Your key is {CANARY}.", size))
    with use_cassette(path):
        async with acme(upstream.base_url, key=CANARY) as provider:
            await provider.generate(f"My key is {CANARY}", metadata={"key": CANARY}, user=CANARY)
            await consume(provider.stream(f"My key is {CANARY}"))
        async with acme(upstream.base_url + f"?key={CANARY}", key=CANARY) as provider:
            with pytest.raises(Exception, match=r".*"):
                await provider.generate("Hi")
    recorded = path.read_text()

    assert CANARY not in recorded
    assert "authorization" not in recorded.lower()
    assert (
        CANARY
        not in b"".join(
            data for taped in Tape.load(path).exchanges for _, data in taped.pieces
        ).decode()
    )


async def test_a_key_in_the_address_is_not_recorded_and_not_compared(path, upstream):
    row = {"auth": {"style": "query", "parameter": "key"}}
    base_url = upstream.base_url_for("gemini")
    with use_cassette(path):
        async with acme(base_url, kind=GeminiProvider, key=CANARY, row=row) as provider:
            await provider.generate("Hi")
    with use_cassette(path):
        async with acme(
            "http://127.0.0.1:9/v1beta", kind=GeminiProvider, key="another-key", row=row
        ) as provider:
            response = await provider.generate("Hi")

    assert response.content
    assert CANARY not in path.read_text()


def test_what_is_called_like_a_secret_is_hidden():
    hidden = "[redacted]"

    assert clean({"access_token": "abc", "a": [{"apiKey": "x"}], "token": "Hi", "n": 1}) == {
        "access_token": hidden, "a": [{"apiKey": hidden}], "token": "Hi", "n": 1,
    }  # fmt: skip
    form = make_request_entry("POST", "http://h/", b"grant_type=x&assertion=ey.J.z&password=s")
    assert form["text"] == f"grant_type=x&assertion={hidden}&password={hidden}"


@pytest.mark.parametrize("secret", ["pw", "kk", "signed"])
def test_addresses_are_kept_without_their_secrets(secret):
    url = clean_url("https://me:pw@h/p?key=kk&alt=sse&X-Amz-Signature=signed")

    assert secret not in url
    assert url.startswith("https://h/p?key=")
    assert "alt=sse" in url
    assert clean_url(url) == url


@given(cut_places, st.booleans())
def test_a_secret_split_anywhere_is_hidden(tmp_path_factory, cuts, binary):
    remember_secret(CANARY)
    data = b"data: " + CANARY.encode() + b"\n\n" + ("é".encode() if not binary else b"\xff") + b"z"
    pieces = [(1, piece) for piece in split(data, cuts)]
    path = tmp_path_factory.mktemp("split") / "c.json"
    Tape(
        path, [Taped(make_request_entry("POST", "http://h/", None), 200, {}, pieces=pieces)]
    ).save()

    back = b"".join(piece for _, piece in Tape.load(path).exchanges[0].pieces)

    assert CANARY.encode() not in back
    assert back.endswith(data[-2:])


def test_calls_on_any_loop_are_behind_the_cassette(path):
    """Blocking calls run on a loop of their own."""

    async def on_loop():
        async with FakeUpstream() as upstream, acme(upstream.base_url) as provider:
            return await provider.generate("Hi")

    with use_cassette(path):
        asyncio.run(on_loop())

    assert len(json.loads(path.read_text())["exchanges"]) == 1
