"""The words by which the facts of recordings name kinds of errors."""

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    LLMConnectionError,
    LLMTimeoutError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamInterruptedError,
)

# The most special classes first: the first that fits names the error.
WORDS = (
    (AuthenticationError, "authentication"),
    (PermissionDeniedError, "permission"),
    (ModelNotFoundError, "not_found"),
    (BudgetExceededError, "quota"),
    (RateLimitError, "rate_limit"),
    (ContextLengthError, "context_length"),
    (ContentFilterError, "content_filter"),
    (InvalidRequestError, "invalid_request"),
    (OverloadedError, "overloaded"),
    (ServerError, "server"),
    (LLMTimeoutError, "timeout"),
    (LLMConnectionError, "connection"),
    (ResponseFormatError, "response_format"),
    (StreamInterruptedError, "stream_interrupted"),
)


def word_of(error):
    """Give an error's word; None for an error of no particular kind."""
    return next((word for kind, word in WORDS if isinstance(error, kind)), None)
