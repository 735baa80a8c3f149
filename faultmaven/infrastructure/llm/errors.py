"""What can go wrong, named for what a caller does about it.

LLMError
├── ConfigurationError            mend the configuration
│   ├── UnknownProviderError      the name is in no row
│   └── ProviderNotConfiguredError  a key or an address is missing
├── AuthenticationError           the provider does not accept the key
├── PermissionDeniedError         the key may not do this
├── ModelNotFoundError            the provider has no such model
├── InvalidRequestError           the request itself is wrong
│   ├── ContextLengthError        the prompt is too long for the model
│   └── UnsupportedParameterError the provider cannot take a parameter
├── ContentFilterError            refused by the provider's filter
├── RateLimitError                too many requests: wait
│   └── BudgetExceededError       out of money or quota: waiting does not help
├── OverloadedError               the provider has no capacity now
├── ServerError                   the provider failed
├── LLMTimeoutError               no answer in time
├── LLMConnectionError            no connection, or it broke
├── ResponseFormatError           the answer is not what the dialect says
├── StreamInterruptedError        the stream ended before the answer did
└── AllProvidersFailedError       every candidate failed; see `attempts`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultmaven.infrastructure.llm.types import Attempt


class LLMError(Exception):
    """Something went wrong with a call; the message says what, where, and what to do.

    Attributes:
        provider: the row's name, None before one is chosen.
        model: the model asked for.
        status: the HTTP status, None where there was none.
        code: the provider's own code, or ours in snake case (`connect_timeout`, `empty_response`).
        error_type: the provider's own type of error.
        retryable: whether the same request may succeed later.
        retry_after_s: seconds that the provider asked to wait.
        request_id: the provider's id of the request.
        upstream_message: the human text as the provider sent it, secrets redacted, at most 2 KB.
        attempts: the tries that were made, the last one included.
    """

    retryable_by_default = False

    def __init__(  # noqa: PLR0913  # keywords only, each one a fact of the error
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        error_type: str | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        upstream_message: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.error_type = error_type
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.upstream_message = upstream_message
        self.attempts: Sequence[Attempt] = ()

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return str(self.args[0]) if self.args else ""

    def with_message(self, message: str) -> LLMError:
        """Say it in other words; everything else stays."""
        self.args = (message,)
        return self


class ConfigurationError(LLMError):
    """The configuration cannot be used; the message names the place and the remedy."""


class UnknownProviderError(ConfigurationError):
    """No row has this name."""


class ProviderNotConfiguredError(ConfigurationError):
    """The row is known, but a variable that it needs is not set."""


class AuthenticationError(LLMError):
    """The provider does not accept the key."""


class PermissionDeniedError(LLMError):
    """The key is valid but may not do this."""


class ModelNotFoundError(LLMError):
    """The provider has no such model, or not for this key."""


class InvalidRequestError(LLMError):
    """The provider understood the request and refuses it as wrong."""


class ContextLengthError(InvalidRequestError):
    """The prompt, or prompt and answer together, exceed the model's window.

    Attributes:
        estimated_tokens: what the prompt was counted or estimated at, None where only the
            provider knows.
        limit_tokens: the model's window.
    """

    def __init__(
        self,
        message: str,
        *,
        estimated_tokens: int | None = None,
        limit_tokens: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.estimated_tokens = estimated_tokens
        self.limit_tokens = limit_tokens


class UnsupportedParameterError(InvalidRequestError):
    """The provider or model cannot take a parameter, and the policy is to say so.

    Attributes:
        parameter: the parameter's name.
    """

    def __init__(self, message: str, *, parameter: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.parameter = parameter


class ContentFilterError(LLMError):
    """The provider's filter refused the prompt or the answer."""


class RateLimitError(LLMError):
    """Too many requests or tokens in the provider's window; `retry_after_s` says how long."""

    retryable_by_default = True


class BudgetExceededError(RateLimitError):
    """Out of credit, quota or budget: waiting does not help."""

    retryable_by_default = False


class OverloadedError(LLMError):
    """The provider has no capacity at the moment."""

    retryable_by_default = True


class ServerError(LLMError):
    """The provider failed on its side."""

    retryable_by_default = True


class LLMTimeoutError(LLMError):
    """No answer within a phase's timeout or before the call's deadline."""

    retryable_by_default = True


class LLMConnectionError(LLMError):
    """The connection could not be made, or broke before the answer was whole."""

    retryable_by_default = True


class ResponseFormatError(LLMError):
    """The answer is not what the provider's dialect, or the requested schema, says it is."""

    retryable_by_default = True


class StreamInterruptedError(LLMError):
    """A stream ended before its answer did.

    Attributes:
        partial_text: the text that had come by then, of a very long one the first 128 KiB.
    """

    def __init__(self, message: str, *, partial_text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.partial_text = partial_text


class AllProvidersFailedError(LLMError):
    """Every candidate of a route failed.

    Attributes:
        attempts: one entry a try, in order.
        errors: the error of each candidate, in order.
    """

    def __init__(
        self,
        message: str,
        *,
        attempts: Sequence[Attempt] = (),
        errors: Sequence[LLMError] = (),
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.attempts = attempts
        self.errors = errors
