"""`faultmaven providers new`: the files of a provider that works as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from faultmaven.cli.exit_codes import EXIT_OK
from faultmaven.cli.output import say
from faultmaven.infrastructure.llm.providers.provider_class import module_name
from faultmaven.infrastructure.llm.providers.row import variable_stem

_DIALECTS: Final = {
    "openai": "OpenAIProvider",
    "anthropic": "AnthropicProvider",
    "ollama": "OllamaProvider",
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

_ROW: Final = """\
# The provider {name}: a row states what differs from convention, and
# `faultmaven providers show {name}` shows all of it.  The key is read from {stem}_API_KEY.
display_name: {title}
default_base_url: {base_url}
default_model: {model}
"""
_ROW_CLASS: Final = "provider_class: {provider_class}\n"
_ROW_OF_CODE: Final = """\
# {module}.py is found beside faultmaven.yaml, or where it is installed.
provider_class: {module}:{class_name}
# The schema goes into the prompt; remove this once _transform_request says it to the API itself.
structured_output: prompt
"""
_CONFIG: Final = """\
# FaultMaven's configuration; the providers beside it are in providers.d/.
{}
"""

_CODE: Final = '''\
"""The provider {name}: its dialect in six methods; all else comes from `HTTPProvider`."""

from __future__ import annotations

from typing import Any

from faultmaven.infrastructure.llm.providers import HTTPProvider
from faultmaven.infrastructure.llm.types import ChatRequest, ChatResponse

# What a caller may ask for and `_transform_request` does not write: reported, never lost.
_NOT_WRITTEN = ("top_p", "stop", "seed", "tools", "tool_choice", "reasoning_effort")


class {class_name}(HTTPProvider):
    """{title}."""

    def get_models(self) -> list[str]:
        """Give the models that it has."""
        return list(self.config["models"])

    def get_default_model(self) -> str:
        """Give the model that answers where none is named."""
        return str(self.config["default_model"])

    def _get_endpoint(self) -> str:
        return f"{{self.config['api_base']}}/chat/completions"

    def _get_headers(self) -> dict[str, str]:
        return {{"Authorization": f"Bearer {{self.api_key}}", "Content-Type": "application/json"}}

    def _transform_request(self, request: ChatRequest) -> dict[str, Any]:
        turns = [{{"role": turn.role, "content": turn.content}} for turn in request.messages]
        if request.system_prompt:
            turns.insert(0, {{"role": "system", "content": request.system_prompt}})
        body = {{
            "model": request.model,
            "messages": turns,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }}
        return {{name: value for name, value in body.items() if value is not None}} | request.extra

    def _transform_response(self, data: Any) -> ChatResponse:
        usage = {{
            "input_tokens": data["usage"]["prompt_tokens"],
            "output_tokens": data["usage"]["completion_tokens"],
        }}
        return ChatResponse(data["choices"][0]["message"]["content"], data["model"], usage)

    def _parse_stream_chunk(self, data: Any) -> str | None:
        text: str | None = data["choices"][0]["delta"].get("content") if data["choices"] else None
        return text

    def _unsupported_parameters(self, _request: ChatRequest) -> tuple[str, ...]:
        return _NOT_WRITTEN
'''

_TEST: Final = '''\
"""{class_name} does what every provider must."""

from {module} import {class_name}

from faultmaven.testing import ProviderContract


class Test{class_name}(ProviderContract):
    dialect = "openai"  # what the server of the tests speaks
    supports_tools = False

    def make_provider(self, base_url):
        return {class_name}(
            name="{name}",
            base_url=base_url,
            api_key=self.api_key,
            models=["{model}"],
            max_retries=0,
            row={{"structured_output": "prompt"}},
        )
'''

_ROW_TEST: Final = '''\
"""The row {name} does what every provider must; run it beside faultmaven.yaml."""

from faultmaven.infrastructure.llm.providers import create_provider
from faultmaven.testing import ProviderContract


class Test{row_class_name}(ProviderContract):
    dialect = "{dialect}"  # what the server of the tests speaks

    def make_provider(self, base_url):
        config = {{"base_url": base_url, "api_key": self.api_key, "max_retries": 0}}
        return create_provider(config, "{name}")
'''


@click.command("new")
@click.argument("name")
@click.option("--base-url", default="https://api.example.com/v1", show_default=True)
@click.option("--model", default="model-1", show_default=True, help="The model to ask for.")
@click.option(
    "--dialect", type=click.Choice(sorted(_DIALECTS)),
    help="The API that it speaks, if it is one of these: a row is enough then.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    help="Where faultmaven.yaml is, or shall be.  [default: here]",
)  # fmt: skip
def new_provider(name: str, base_url: str, model: str, dialect: str | None, folder: Path) -> int:
    """Write the files of a new provider NAME: a class, its row and its test, ready to be changed.

    The class is in NAME_provider.py, the row in providers.d; with --dialect there is no class.  The test
    passes as it is.  Nothing that is there already is overwritten.
    """
    if not _NAME.fullmatch(name):
        msg = (
            f"{name!r} is no name: 1 to 64 of a-z, 0-9, '_', '-' and '.', a letter or digit first."
        )
        raise click.UsageError(msg)
    files = make_files(name, base_url, model, dialect)
    taken = [path for path in files if (folder / path).exists()]
    if taken:
        msg = f"{folder / taken[0]} is there already; remove it, or choose another name."
        raise click.UsageError(msg)
    if not (folder / "faultmaven.yaml").exists():
        files[Path("faultmaven.yaml")] = _CONFIG
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
        say(f"wrote {folder / path}")
    say(f"Next: set {variable_stem(name)}_API_KEY, then `faultmaven providers check {name}`.")
    return EXIT_OK


def make_files(
    name: str, base_url: str, model: str, dialect: str | None = None
) -> dict[Path, str]:
    """Give the files of a provider: relative path to text.

    Args:
        name: the row's name.
        base_url: the API's address.
        model: the model to ask for.
        dialect: openai, anthropic or ollama; None gives it a class of its own.
    """
    module = module_name(name)
    words = {
        "name": name,
        "stem": variable_stem(name),
        "title": re.sub(r"[_.-]+", " ", name).title(),
        "base_url": base_url,
        "model": model,
        "module": module,
        "class_name": _class_name(name),
        "provider_class": _DIALECTS.get(dialect or ""),
        "row_class_name": _class_name(name).removesuffix("Provider"),
        "dialect": dialect,
    }
    own = _ROW_CLASS if dialect else _ROW_OF_CODE
    row = _ROW + ("" if dialect == "openai" else own)
    files = {Path("providers.d") / f"{name}.yaml": row.format(**words)}
    if dialect:
        files[Path(f"test_{module.removesuffix('_provider')}.py")] = _ROW_TEST.format(**words)
    else:
        files[Path(f"{module}.py")] = _CODE.format(**words)
        files[Path(f"test_{module}.py")] = _TEST.format(**words)
    return files


def _class_name(name: str) -> str:
    joined = "".join(word[:1].upper() + word[1:] for word in re.split(r"[_.-]+", name))
    return f"{'' if joined[0].isalpha() else 'The'}{joined}Provider"
