"""Which class an error is: by status, then code and type, then patterns in the message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from faultmaven.infrastructure.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    LLMTimeoutError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Set as AbstractSet

    from faultmaven.infrastructure.llm.errors import LLMError

_BY_STATUS: Final[dict[int, type[LLMError]]] = {
    401: AuthenticationError,
    402: BudgetExceededError,
    403: PermissionDeniedError,
    404: ModelNotFoundError,
    408: LLMTimeoutError,
    424: ServerError,
    429: RateLimitError,
    503: OverloadedError,
    529: OverloadedError,
}

# Names that say more than the statuses they come with; in lower case.
_TELLING: Final[tuple[tuple[type[LLMError], frozenset[str]], ...]] = (
    (
        BudgetExceededError,
        frozenset(
            {
                "arrearage",
                "billing_error",
                "billing_hard_limit_reached",
                "credits_exhausted",
                "exceeded_current_quota_error",
                "insufficient_balance",
                "insufficient_credits",
                "insufficient_funds",
                "insufficient_quota",
                "servicequotaexceededexception",
            }
        ),
    ),
    (
        ContextLengthError,
        frozenset(
            {
                "context_length_exceeded",
                "context_window_exceeded",
                "exceed_context_size_error",
                "prompt_too_long",
            }
        ),
    ),
    (
        ContentFilterError,
        frozenset(
            {
                "content_filter",
                "content_policy_violation",
                "data_inspection_failed",
                "datainspectionfailed",
                "moderation_blocked",
                "responsibleaipolicyviolation",
            }
        ),
    ),
    (
        AuthenticationError,
        frozenset(
            {
                "api_key_expired",
                "api_key_invalid",
                "authentication_error",
                "expiredtokenexception",
                "incompletesignatureexception",
                "invalid_api_key",
                "invalidapikey",
                "invalidsignatureexception",
                "missingauthenticationtokenexception",
                "unauthenticated",
                "unrecognizedclientexception",
            }
        ),
    ),
    (
        ModelNotFoundError,
        frozenset({"deploymentnotfound", "model_not_found", "modelnotfound", "unknown_model"}),
    ),
    (OverloadedError, frozenset({"engine_overloaded", "overloaded_error"})),
)

# Names that only repeat a status: read where there is none.
_REPEATING: Final[tuple[tuple[type[LLMError], frozenset[str]], ...]] = (
    (
        InvalidRequestError,
        frozenset(
            {
                "badrequesterror",
                "bad_request",
                "failed_precondition",
                "invalid-argument",
                "invalid_argument",
                "invalid_request_error",
                "invalid_value",
                "request_too_large",
                "tool_use_failed",
                "unsupported_parameter",
                "unsupported_value",
                "validationexception",
            }
        ),
    ),
    (AuthenticationError, frozenset({"invalid_authentication_error", "unauthorized"})),
    (
        PermissionDeniedError,
        frozenset({"accessdeniedexception", "forbidden", "permission_denied", "permission_error"}),
    ),
    (ModelNotFoundError, frozenset({"not_found", "not_found_error", "resourcenotfoundexception"})),
    (
        RateLimitError,
        frozenset(
            {
                "rate_limit_error",
                "rate_limit_exceeded",
                "rate_limit_reached_error",
                "resource_exhausted",
                "throttlingexception",
                "too_many_requests",
                "too_many_requests_error",
            }
        ),
    ),
    (
        OverloadedError,
        frozenset(
            {
                "capacity_exceeded",
                "modelnotreadyexception",
                "overloaded",
                "server_overloaded",
                "serviceunavailableexception",
                "unavailable",
            }
        ),
    ),
    (
        ServerError,
        frozenset(
            {
                "api_error",
                "internal",
                "internal_error",
                "internal_server_error",
                "internalserverexception",
                "modelerrorexception",
                "modelstreamerrorexception",
                "server_error",
            }
        ),
    ),
    (LLMTimeoutError, frozenset({"deadline_exceeded", "modeltimeoutexception", "timeout_error"})),
)

_QUOTA: Final = (
    r"exceeded (?:your )?current quota|credit balance is too low|more credits|not enough credits"
    r"|insufficient (?:account )?(?:balance|credits?|funds|quota)|out of credits|billing hard limit"
    r"|spend(?:ing)? limit|payment required|specified api usage limits|included credits"
    r"|account .{0,40}(?:overdue|in arrears|suspended)"
)
_CONTEXT: Final = (
    r"context[ _-]?(?:length|window|size|limit)|prompt is too long|input is too long"
    r"|input (?:token count|length) .{0,80}(?:exceed|longer)|maximum number of tokens allowed"
    r"|maximum prompt length|max_new_tokens.{0,30} must be|reduce the length of the (?:messages|prompt)"
    r"|too many tokens: |number of tokens in the prompt|maximum model length|prompt too long"
)
_FILTER: Final = (
    r"content (?:management|usage) policy|content[ _-]?filter|content polic|usage polic"
    r"|safety (?:system|filter|polic)|flagged|inappropriate content|prohibited content|moderation"
)
_BAD_KEY: Final = (
    r"(?:invalid|incorrect|expired|missing) (?:x-)?api[ _-]?key|api[ _-]?key (?:is )?(?:not valid|invalid|expired)"
    r"|authentication (?:fails|failed|token)|security token .{0,40}(?:invalid|expired)|signature .{0,40}does not match"
)
_NO_MODEL: Final = (
    r"\bmodels?\b.{0,200}\b(?:does not exist|not found|doesn't exist|not a valid model)\b"
    r"|model identifier is invalid|unknown model|no such model|not a valid model"
    r"|supported api model names are|invalid model(?: name| id)?\b"
)
_RATE: Final = r"rate[ -]?limit|too many requests|try again in \d"
_BUSY: Final = r"overloaded|no capacity|capacity exceeded|server busy|at capacity"
_CLIENT: Final = (
    r"\binvalid\b|not supported|unsupported|does not support|\bmust\b|is required|malformed"
)

_Rule = tuple[type["LLMError"], "re.Pattern[str]"]


def _rules(*pairs: tuple[type[LLMError], str]) -> tuple[_Rule, ...]:
    return tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in pairs)


_BAD_REQUEST_RULES: Final = _rules(
    (BudgetExceededError, _QUOTA),
    (AuthenticationError, _BAD_KEY),
    (ContextLengthError, _CONTEXT),
    (ContentFilterError, _FILTER),
    (ModelNotFoundError, _NO_MODEL),
)
_FAILURE_RULES: Final = _rules((ContextLengthError, _CONTEXT), (OverloadedError, _BUSY))
_SIZE_RULES: Final = _rules((ContextLengthError, _CONTEXT))
_UNSAID_RULES: Final = (
    *_BAD_REQUEST_RULES,
    *_rules((RateLimitError, _RATE), (OverloadedError, _BUSY), (InvalidRequestError, _CLIENT)),
)
# Statuses that have several meanings, and the patterns that tell them apart.
_RULES_BY_STATUS: Final[dict[int, tuple[_Rule, ...]]] = {
    400: _BAD_REQUEST_RULES,
    403: _rules((BudgetExceededError, _QUOTA), (AuthenticationError, _BAD_KEY)),
    413: _SIZE_RULES,
    422: _BAD_REQUEST_RULES,
    429: _rules((BudgetExceededError, _QUOTA)),
    # Cohere's for a blocked prompt, Groq's for a full tier.
    498: _rules((OverloadedError, r"capacity|flex"), (ContentFilterError, r"")),
    500: _FAILURE_RULES,
    502: _FAILURE_RULES,
    503: _SIZE_RULES,
}
# Google calls a full minute a quota too, and asks to try again.
_WINDOW_QUOTA: Final = "resource_exhausted"
_RENEWED_BY_TIME: Final = 429


def choose_class(status: int, names: AbstractSet[str], message: str) -> type[LLMError]:
    """Choose the class of an error.

    Args:
        status: the HTTP status; below 400 it says nothing.
        names: the provider's code, type and reason, in lower case.
        message: its text.
    """
    if status < 400:
        return _unsaid(names, message)
    rules = _RULES_BY_STATUS.get(status)
    if rules is not None:
        if kind := _named(names, _TELLING):
            return kind
        if not (status == _RENEWED_BY_TIME and _WINDOW_QUOTA in names) and (
            kind := _matched(message, rules)
        ):
            return kind
    default = ServerError if status >= 500 else InvalidRequestError
    return _BY_STATUS.get(status, default)


def _unsaid(names: AbstractSet[str], message: str) -> type[LLMError]:
    """Choose where only the body says that it is an error."""
    kind = _named(names, _TELLING)
    if kind is None and (stated := _named(names, _REPEATING)):
        # The name says whose mistake it is; the message may say which.
        rules = _BAD_REQUEST_RULES if stated is InvalidRequestError else ()
        kind = _matched(message, rules) or stated
    return kind or _matched(message, _UNSAID_RULES) or ServerError


def _named(
    names: AbstractSet[str], table: Iterable[tuple[type[LLMError], frozenset[str]]]
) -> type[LLMError] | None:
    return next((kind for kind, words in table if names & words), None)


def _matched(message: str, rules: Iterable[_Rule]) -> type[LLMError] | None:
    text = message[:4096]
    return next((kind for kind, pattern in rules if pattern.search(text)), None)
