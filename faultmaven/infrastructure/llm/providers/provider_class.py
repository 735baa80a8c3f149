"""From `provider_class` in a row to the class, and to an instance of it."""

from __future__ import annotations

import re
import sys
from importlib import import_module, invalidate_caches
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Final

from faultmaven.config.suggest import did_you_mean
from faultmaven.infrastructure.llm.errors import ConfigurationError, LLMError
from faultmaven.infrastructure.llm.providers.base import BaseLLMProvider
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import ModuleType

PACKAGE: Final = "faultmaven.infrastructure.llm.providers"

# Where the convention (GeminiProvider is in gemini_provider) does not hold by itself, and what a
# mistaken name is compared with.
BUILTIN_CLASSES: Final = {
    "AnthropicProvider": "anthropic_provider",
    "AzureOpenAIProvider": "azure_openai_provider",
    "BedrockAnthropicProvider": "bedrock_anthropic_provider",
    "BedrockProvider": "bedrock_provider",
    "CohereProvider": "cohere_provider",
    "DatabricksProvider": "databricks_provider",
    "DeclaredProvider": "declared_provider",
    "EchoProvider": "echo_provider",
    "EmbeddedProvider": "embedded_provider",
    "GeminiProvider": "gemini_provider",
    "HuggingFaceProvider": "huggingface_provider",
    "LlamaCppProvider": "llamacpp_provider",
    "LocalProvider": "local_provider",
    "MistralProvider": "mistral_provider",
    "OllamaProvider": "ollama_provider",
    "OpenAIProvider": "openai_provider",
    "OpenAIResponsesProvider": "openai_responses_provider",
    "SnowflakeProvider": "snowflake_provider",
    "VertexAnthropicProvider": "vertex_anthropic_provider",
    "VertexProvider": "vertex_provider",
    "WatsonxProvider": "watsonx_provider",
}

_PLAIN_HOOKS: Final = (
    "get_models", "get_default_model", "get_supported_models", "is_available",
    "_get_endpoint", "_get_headers", "_transform_request", "_transform_response",
    "_transform_stream_request", "_parse_stream_chunk", "calculate_cost",
)  # fmt: skip


def load_provider_class(
    name: str, given: object, folder: Path | None = None
) -> type[BaseLLMProvider]:
    """Give the class that a row names.

    Args:
        name: the row's name, for the message.
        given: a class, a built-in's name, or "package.module:Class".
        folder: where faultmaven.yaml is: a module beside it need not be installed.

    Raises:
        ConfigurationError: the name is not known, the module or the class is missing, it is not a
            whole `BaseLLMProvider`, is not made of a `ProviderConfig`, or a hook that is called is
            awaited.
    """
    found = given if isinstance(given, type) else _load(name, str(given), folder)
    if not (isinstance(found, type) and issubclass(found, BaseLLMProvider)):
        raise _error(
            name, f"{given!r} is not a subclass of BaseLLMProvider",
            "Derive it from faultmaven.infrastructure.llm.providers.BaseLLMProvider.",
        )  # fmt: skip
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise _error(
            name, f"{found.__name__} lacks {', '.join(missing)}", "Define what is missing."
        )
    if not _takes_one_argument(found):
        raise _error(
            name, f"{found.__name__} must take one argument", "It is given its ProviderConfig."
        )
    if awaited := [
        hook for hook in _PLAIN_HOOKS if iscoroutinefunction(getattr(found, hook, None))
    ]:
        raise _error(
            name, f"{', '.join(awaited)} of {found.__name__} must be `def`, not `async def`",
            "What has to be fetched first, as a token, is fetched in `async def _authorize`.",
        )  # fmt: skip
    return found


def module_name(name: str) -> str:
    """Name the module that holds a provider's own class, as far as nothing else says so."""
    stem = name.replace("-", "_").replace(".", "_")
    return f"{'' if name[:1].isalpha() else 'the_'}{stem}_provider"


def find_own_class(name: str, folders: Iterable[Path]) -> type[BaseLLMProvider] | None:
    """Give the class in `<name>_provider.py` of the first folder that has it; None where none has.

    Raises:
        ConfigurationError: the file cannot be imported, or does not hold one provider's class.
    """
    module = module_name(name)
    folder = next((folder for folder in folders if (folder / f"{module}.py").is_file()), None)
    return None if folder is None else load_own_class(name, module, folder)


def load_own_class(name: str, module: str, folder: Path) -> type[BaseLLMProvider]:
    """Give the class of a provider that a module defines: the one of its name, else the only one.

    Raises:
        ConfigurationError: it cannot be imported, or defines none or several.
    """
    own = [
        found
        for found in vars(_import(name, module, folder)).values()
        if isinstance(found, type)
        and issubclass(found, BaseLLMProvider)
        and found.__module__ == module
    ]
    own = [found for found in own if found.__name__.lower() == module.replace("_", "")] or own
    if len(own) != 1:
        listed = ", ".join(found.__name__ for found in own) or "none"
        raise _error(
            name, f"{module}.py must define one subclass of HTTPProvider or BaseLLMProvider",
            f"It defines {listed}.",
        )  # fmt: skip
    return load_provider_class(name, own[0])


def construct(name: str, build: Callable[[], BaseLLMProvider]) -> BaseLLMProvider:
    """Build an instance; what a class of somebody else's raises becomes a ConfigurationError."""
    try:
        return build()
    except LLMError:
        raise
    except Exception as exc:
        msg = (
            f"{name}: its class cannot be built: {type(exc).__name__}: {redact(str(exc))}. "
            "A class is given one argument: its ProviderConfig."
        )
        raise ConfigurationError(
            msg,
            provider=name,
            code="bad_provider_class",
        ) from exc


def _takes_one_argument(found: type) -> bool:
    try:
        signature(found).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True  # it does not say what it takes
    return True


def _load(name: str, given: str, folder: Path | None) -> object:
    path, colon, class_name = given.partition(":")
    if not colon:
        return _load_builtin(name, given)
    module = _import(name, path, folder)
    if not hasattr(module, class_name):
        raise _error(name, f"{path} has no {class_name}", did_you_mean(class_name, vars(module)))
    return getattr(module, class_name)


def _import(name: str, path: str, folder: Path | None) -> ModuleType:
    """Import what a row names; whatever keeps that from being done is an error of the configuration."""
    try:
        return _import_beside(path, folder)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{path}.".startswith(f"{exc.name}."):
            raise _error(name, f"{path} needs {exc.name}, which is not installed", "") from exc
        raise _error(
            name,
            f"there is no module {exc.name}",
            "It is neither installed in this environment nor beside faultmaven.yaml.",
        ) from exc
    except SyntaxError as exc:
        at = f"{exc.filename}:{exc.lineno}"
        raise _error(name, f"{path} is not Python: {exc.msg} at {at}", "") from exc
    except Exception as exc:  # a module of somebody else's may raise anything
        said = f"{type(exc).__name__}: {redact(str(exc))}"
        raise _error(name, f"{path} cannot be imported: {said}", "") from exc


def _import_beside(module_name: str, folder: Path | None) -> ModuleType:
    """Import a module, from beside the configuration file where it is not on the path."""
    try:
        return import_module(module_name)
    except ModuleNotFoundError as exc:
        top = module_name.partition(".")[0]
        if exc.name != top or folder is None or str(folder) in sys.path:
            raise
        if not (folder / f"{top}.py").is_file() and not (folder / top / "__init__.py").is_file():
            raise
    # At the end: what is installed goes before it, and what the module imports beside it is found.
    sys.path.append(str(folder))
    invalidate_caches()
    return import_module(module_name)


def _load_builtin(name: str, given: str) -> object:
    if given in BUILTIN_CLASSES:
        return getattr(import_module(f"{PACKAGE}.{BUILTIN_CLASSES[given]}"), given)
    if "." not in given and given.endswith("Provider"):
        stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given.removesuffix("Provider")).lower()
        try:
            return getattr(import_module(f"{PACKAGE}.{stem}_provider"), given)
        except (ModuleNotFoundError, AttributeError):
            pass
    remedy = did_you_mean(given, BUILTIN_CLASSES) or (
        f"Known are {', '.join(BUILTIN_CLASSES)}; a class of your own is written package.module:Class."
    )
    raise _error(name, f"there is no built-in class {given}", remedy)


def _error(name: str, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: provider_class: {problem}. {remedy}".rstrip(),
        provider=name,
        code="bad_provider_class",
    )
