"""Error messages that end in what to do: which variable to set, what to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    ContextLengthError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.infrastructure.llm.providers.config import ProviderConfig


def explain(error: LLMError, config: ProviderConfig, model: str | None) -> LLMError:
    """Name the provider and the model in an error, and end its message with the remedy."""
    error.provider = error.provider or config.name
    error.model = error.model or model
    if getattr(error, "explained", False):
        return error
    said = redact(error.message).removeprefix(f"{config.name}: ").rstrip(".")
    parts = [f"{config.name}: {said}."]
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            if advice := remedy(config, error):
                parts.append(advice)
            break
    error.with_message(" ".join(parts))
    error.__dict__["explained"] = True
    return error


def first_variable(config: ProviderConfig, field: str) -> str | None:
    """Give the variable that sets a field of the row, the first of several; None for none."""
    names = config.row.get(field)
    if isinstance(names, str):
        return names
    return names[0] if names else None


def _key(config: ProviderConfig, error: LLMError) -> str:
    del error
    variable = first_variable(config, "api_key_var")
    if variable is None:
        return (
            "The row says that no key is needed; if the server wants one, set api_key_var in it."
        )
    if len(config.keys) > 1:
        return f"No key of {', '.join(config.keys)} was accepted: check them."
    return f"Check the key in {variable}."


def _permission(config: ProviderConfig, error: LLMError) -> str:
    variable = first_variable(config, "api_key_var")
    what = f"The key in {variable}" if variable else "This account"
    return (
        f"{what} is not allowed to use {error.model or 'this model'}; see the provider's console."
    )


def _model(config: ProviderConfig, error: LLMError) -> str:
    variable = first_variable(config, "model_var")
    setting = f"Set {variable} to" if variable else "Ask for"
    advice = f"{setting} a model that it has; `faultmaven models {config.name}` lists them."
    if "model" in f"{error.code} {error.upstream_message or error.message}".lower():
        return advice
    # A server says 404 of a path that it has not, too.
    return f"{_format(config, error)} If it is: {advice[0].lower()}{advice[1:]}"


def _connection(config: ProviderConfig, error: LLMError) -> str:
    if error.code == "tls_error":
        return "Its certificate is not trusted; for a private authority set ca_file in the row."
    variable = first_variable(config, "base_url_var")
    where = f" (set by {variable})" if variable else ""
    if config.row.get("local"):
        return f"Is the server running at {config.base_url}{where}? `faultmaven discover` looks."
    return f"Check {config.base_url}{where} and the network."


def _timeout(config: ProviderConfig, error: LLMError) -> str:
    if error.code == "deadline_exceeded":
        return "Raise the call's timeout or LLM_REQUEST_TIMEOUT if it may take longer."
    return f"Try again, or raise `timeout` in the row of {config.name} if its answers take longer."


def _rate(config: ProviderConfig, error: LLMError) -> str:
    del config
    if error.retry_after_s is None:
        return "Send less, or name a further provider in FALLBACK_PROVIDERS."
    wait = f"{error.retry_after_s:.15g}"
    return f"It asks to wait {wait} s; FALLBACK_PROVIDERS can take over meanwhile."


def _budget(config: ProviderConfig, error: LLMError) -> str:
    del config, error
    return "The account is out of credit or quota: top it up, waiting does not help."


def _context(config: ProviderConfig, error: LLMError) -> str:
    del config, error
    return "Shorten the conversation, lower max_tokens, or choose a model with a larger window."


def _capacity(config: ProviderConfig, error: LLMError) -> str:
    del config, error
    return "The fault is on the provider's side; FALLBACK_PROVIDERS names who takes over."


def _format(config: ProviderConfig, error: LLMError) -> str:
    if error.code in _MODELS_FAULT:
        return _other_settings(config)
    if error.code in _TOO_LARGE:
        return "Ask for less with max_tokens; no answer of a model is that large."
    if error.attempts:
        # It answered before: a stream that broke its format midway.
        return f"Ask again; the fault is at {config.name}."
    variable = first_variable(config, "base_url_var")
    where = f" (set by {variable})" if variable else ""
    return f"Is {config.base_url}{where} really the address of its API?"


def _other_settings(config: ProviderConfig) -> str:
    model, address = (first_variable(config, name) for name in ("model_var", "base_url_var"))
    other = f"set {model} to another model" if model else "ask for another model"
    at = f", or look at {address}" if address else ""
    return f"Ask again; if it stays so, allow more max_tokens, {other}{at}."


def _interrupted(config: ProviderConfig, error: LLMError) -> str:
    if "finish reason" in error.message:
        return (
            "Ask again; if its streams always end so, set finish_reason_optional in the row of "
            f"{config.name}."
        )
    return "What came is in the error's `partial_text`."


_MODELS_FAULT: Final = frozenset({"schema_mismatch", "empty_response"})
_TOO_LARGE: Final = frozenset({"response_too_large", "event_too_large"})

_REMEDIES: tuple[tuple[type[LLMError], Callable[[ProviderConfig, LLMError], str]], ...] = (
    (AuthenticationError, _key),
    (PermissionDeniedError, _permission),
    (ModelNotFoundError, _model),
    (LLMConnectionError, _connection),
    (LLMTimeoutError, _timeout),
    (BudgetExceededError, _budget),
    (RateLimitError, _rate),
    (ContextLengthError, _context),
    (OverloadedError, _capacity),
    (ServerError, _capacity),
    (ResponseFormatError, _format),
    (StreamInterruptedError, _interrupted),
)
