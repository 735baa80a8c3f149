"""Fixtures: the real llama.cpp server with a small model, started once for all tests.

A plugin: name it in the top conftest's `pytest_plugins`.  Tests that want it are skipped, with the
reason, where the machine cannot run it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.engine import LlamaServer
from faultmaven.infrastructure.llm.providers.engine_files import EngineFiles, find_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "smollm2-135m"
TOOL_TEMPLATE = Path(__file__).with_name("tool_calls.jinja")


@pytest.fixture(scope="session")
def engine_files() -> EngineFiles:
    """The server and the model, found as a user's are; skips where there are none."""
    try:
        return find_engine(os.environ.get)
    except ProviderNotConfiguredError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def llama_server(engine_files: EngineFiles) -> Iterator[LlamaServer]:
    """The real engine, ready, with the model's own chat template; see its `address`."""
    yield from _running(LlamaServer(engine_files, alias=MODEL))


@pytest.fixture(scope="session")
def llama_tool_server(engine_files: EngineFiles) -> Iterator[LlamaServer]:
    """A real engine whose chat template makes the small model call the first tool it is given."""
    arguments = ("--chat-template-file", str(TOOL_TEMPLATE))
    yield from _running(LlamaServer(engine_files, alias=MODEL, extra_args=arguments))


def _running(server: LlamaServer) -> Iterator[LlamaServer]:
    try:
        server.start()
    except ConfigurationError as error:
        if error.code == "engine_illegal_instruction":
            pytest.skip(error.message)
        raise
    yield server
    server.stop()
