"""What the documentation shows can be run: Python, commands, configuration files, variables."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from faultmaven.config.dotenv_file import load_dotenv_file
from faultmaven.config.fields import FIELDS
from faultmaven.config.file import load_config_file
from faultmaven.config.schemas import PROVIDER, load_schema
from faultmaven.config.settings import load_settings
from faultmaven.config.spellings import to_row
from faultmaven.infrastructure.llm.catalog import Catalog
from faultmaven.infrastructure.llm.providers import get_registry
from faultmaven.infrastructure.llm.providers.row import check_row, complete_row
from tests.docs.blocks import LANGUAGES, PAGES, Block, all_blocks, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

COMMAND_TIMEOUT_S = 60


def place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{block.place}: {block.language!r}"


@pytest.mark.parametrize("block", all_blocks("python"), ids=place)
def test_python_runs(block: Block, desk: Path) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    padding = "\n" * block.line  # so that a traceback names the page's own line
    code = compile(padding + block.code, str(block.page), "exec", flags)
    names: dict[str, Any] = {"__name__": "shown"}

    with redirect_stdout(StringIO()):
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(_awaited(code, names))
        else:
            exec(code, names)


async def _awaited(code: Any, names: dict[str, Any]) -> None:
    try:
        await eval(code, names)
    finally:
        await get_registry().close()


@pytest.mark.parametrize("block", all_blocks("bash"), ids=place)
def test_commands_run(block: Block, desk: Path) -> None:
    run = subprocess.run(
        ["/bin/bash", "-eu", "-c", block.code], cwd=desk, capture_output=True, text=True,
        check=False, timeout=COMMAND_TIMEOUT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert run.returncode == 0, f"{block.place}\n{run.stdout}\n{run.stderr}"


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=place)
def test_configuration_is_valid(block: Block, desk: Path) -> None:
    data = yaml.safe_load(block.code)
    if "pricing" in data:
        Catalog(data["pricing"])
        return
    if set(data) <= set(load_schema(PROVIDER)["properties"]):
        check_row("shown", to_row(data), block.place)
        return
    path = desk / "shown.yaml"
    path.write_text(block.code)
    load_config_file(path, lambda name: f"value-of-{name.lower()}")


@pytest.mark.parametrize("block", all_blocks("env"), ids=place)
def test_variables_are_known(
    block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    path = desk / ".env"
    path.write_text(block.code)
    path.chmod(0o600)
    values = load_dotenv_file(path).values
    monkeypatch.setenv("FAULTMAVEN_ENV_FILE", str(path))
    for name in values:
        monkeypatch.delenv(name, raising=False)
    settings = load_settings()
    known = {field.name for field in FIELDS}
    for name in get_registry().get_all_provider_names():
        known |= _variables_of(get_registry().get_row(name))
    prefix = settings.faultmaven_env_prefix

    unknown = {name for name in values if name.removeprefix(prefix) not in known}
    assert not unknown, f"{block.place}: {unknown}"


def _variables_of(row: dict[str, Any]) -> set[str]:
    whole = complete_row("x", row)
    given = [whole["api_key_var"], whole["model_var"], whole["base_url_var"]]
    given += [described["vars"] for described in row.get("variables", {}).values()]
    names = {n for g in given for n in ([g] if isinstance(g, str) else g or ())}
    return names | {f"{n.removesuffix('_MODEL')}_DEFAULT_MODEL" for n in names}


@pytest.mark.parametrize("block", all_blocks("json"), ids=place)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.code)
