"""No secret shows anywhere, whatever an upstream does: every fault, whole and streamed.

Canary keys are in the key's variable, in a header and in the prompt; logging is at DEBUG.
"""

from __future__ import annotations

import copy
import io
import logging
import pickle
import re
import time
import traceback
from contextlib import aclosing

import pytest

from faultmaven.config.settings import load_settings
from faultmaven.infrastructure.llm.errors import LLMError
from faultmaven.infrastructure.llm.providers import (
    BaseLLMProvider,
    LLMResponse,
    ProviderRegistry,
)
from faultmaven.infrastructure.llm.retry import FakeClock
from faultmaven.infrastructure.llm.secret import install_log_redaction
from faultmaven.testing import FakeUpstream

pytestmark = pytest.mark.usefixtures("project")

KEY = "sk-canary-key-0123456789abcdef"
HEADER = "header-canary-0123456789abcdef"
OWN_KEY = "own-canary-0123456789"
PROMPT = "sk-canary-prompt-0123456789abcdef"
CANARIES = (KEY, HEADER, PROMPT)

ROWS = {
    "openai": {},
    "anthropic": {"provider_class": "AnthropicProvider"},
    "gemini": {"provider_class": "GeminiProvider"},
    "ollama": {"provider_class": "OllamaProvider"},
}
# What stands for the words in capitals of a fault's usage.
ARGUMENTS = {
    "N": "3", "MS": "5", "KB": "64", "MB": "1", "BYTES": "2000", "CODE": "503", "KIND": "null",
    "FAULT": "status:503", "HEADER=VALUE": "retry-after=0", "TYPE": "application/pdf",
}  # fmt: skip
SPECIAL = {"redirect:CODE": "redirect:307", "deep-json:N": "deep-json:2000"}
# These say the key or send it back, or break what carries it.
ECHOES = (
    "auth-echo",
    "key-in-stream",
    "redirect:307",
    "bad-headers",
    "garbage",
    "status-huge:500:1",
)


def specs():
    for usage in FakeUpstream.faults():
        name, *words = usage.split(":")
        yield SPECIAL.get(usage) or ":".join([name, *(ARGUMENTS[word] for word in words)])


class InstantClock(FakeClock):
    """Waits between tries take no time; the deadline counts real time."""

    def monotonic(self):
        return time.monotonic()

    def advance(self, seconds):
        pass


@pytest.fixture
def log():
    """Give all that is logged, at every level, with tracebacks and by every library."""
    install_log_redaction()
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "faultmaven", "aiohttp")}
    root.addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield shown
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def registry_for(dialect, upstream):
    settings = load_settings(
        ACME_API_KEY=KEY,
        ACME_TEAM=HEADER,
        ACME_API_BASE=upstream.base_url_for(dialect),
        chat_provider="acme",
        llm_max_retries=1,
    )
    registry = ProviderRegistry(settings)
    registry.register(
        "acme",
        {
            "headers": {"X-Team": "${team}"},
            "variables": {"team": {"vars": "ACME_TEAM"}},
            "default_model": "m",
            "timeout": 0.2,
            **ROWS[dialect],
        },
    )
    return registry


def everything_of(value):
    """Give all the ways in which an object may leave the process."""
    shown = f"{value!r} {value!s} {value}"
    if isinstance(value, BaseException):
        shown += "".join(traceback.format_exception(value)) + repr(vars(value))
        for inner in (value.__cause__, value.__context__):
            shown += everything_of(inner) if inner is not None else ""
    return shown + pickled(value)


def pickled(value):
    try:
        return pickle.dumps(value).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError):
        return ""  # sockets, locks and functions of their own do not go anywhere


async def use(registry, upstream):
    """Call whole and in pieces; give what came of it."""
    provider = registry.get_provider()
    provider._clock = InstantClock()
    found = [provider, provider.config, registry, registry.settings]
    prompt = f"My key is {PROMPT}, is it safe?"
    for ask in (provider.generate, lambda p, **o: consumed(provider, p, **o)):
        try:
            found.append(await ask(prompt, timeout=0.5))
        except LLMError as error:
            found.append(error)
    found.append(registry.get_provider_status()["acme"])
    upstream.mode("auth-echo")
    found.append(await provider.check_key())
    await registry.close()
    return found


async def consumed(provider, prompt, **options):
    async with aclosing(provider.stream(prompt, **options)) as chunks:
        return [chunk async for chunk in chunks]


def assert_silent(found, log):
    shown = "\n".join(map(everything_of, found)) + log.getvalue()
    for canary in CANARIES:
        place = shown.find(canary)
        assert place < 0, f"…{shown[max(0, place - 300) : place + 80]}…"
    assert "faultmaven.providers" in log.getvalue()


@pytest.mark.parametrize("fault", list(specs()))
async def test_no_fault_brings_a_secret_to_light(fault, upstream, log):
    upstream.mode(fault)
    found = await use(registry_for("openai", upstream), upstream)

    assert any(KEY in str(request.headers) for request in upstream.requests)
    assert_silent(found, log)


@pytest.mark.parametrize("fault", ECHOES)
@pytest.mark.parametrize("dialect", sorted(ROWS.keys() - {"openai"}))
async def test_no_dialect_brings_a_secret_to_light(dialect, fault, upstream, log):
    upstream.mode(fault)
    found = await use(registry_for(dialect, upstream), upstream)

    assert any(KEY in str(request.headers) for request in upstream.requests)
    assert any(HEADER in str(request.headers) for request in upstream.requests)
    assert_silent(found, log)


class OwnProvider(BaseLLMProvider):
    """Nothing but the four members, as a user writes them."""

    @property
    def provider_name(self):
        return "own"

    def is_available(self):
        return True

    def get_supported_models(self):
        return ["m"]

    async def generate(self, prompt, *args, **options):
        msg = f"401 Unauthorized: the key {self.api_key} is not valid"
        raise RuntimeError(msg)


async def test_a_class_of_ones_own_shows_no_secret(log):
    provider = OwnProvider(api_key=OWN_KEY, name="own")
    found = [provider, provider.config]
    request_error = await failure_of(provider)
    # The cause is the user's own exception, as the user wrote it.
    shown = "\n".join(map(everything_of, found)) + str(request_error) + log.getvalue()

    assert OWN_KEY not in shown
    assert provider.api_key == OWN_KEY


async def failure_of(provider):
    from faultmaven.infrastructure.llm.types import LLMRequest

    response = await provider.try_complete(LLMRequest([]))
    assert isinstance(response, LLMResponse)
    return response.error


def test_a_copy_of_a_configuration_still_works():
    provider = OwnProvider(api_key=OWN_KEY, headers={"X-Team": HEADER}, name="own")

    for made in (copy.copy(provider.config), copy.deepcopy(provider.config)):
        assert made == provider.config
        assert made.api_key == OWN_KEY
    for twin in (copy.copy(provider), copy.deepcopy(provider)):
        assert twin.api_key == OWN_KEY
    assert pickle.loads(pickle.dumps(provider)).api_key is None


def test_a_pickled_configuration_has_no_secrets():
    config = OwnProvider(api_key=OWN_KEY, headers={"X-Team": HEADER}, name="own").config
    again = pickle.loads(pickle.dumps(config))

    assert again.name == "own"
    assert not re.search("canary", repr(vars_of(again)))


def vars_of(config):
    return {name: getattr(config, name) for name in config.__slots__}
