"""HTTP to providers: pooled connections, one timer for all waits, every failure an `LLMError`.

aiohttp is imported at the first request and not before.
"""

from faultmaven.infrastructure.llm.http.interception import intercept, intercepted
from faultmaven.infrastructure.llm.http.policy import TransportPolicy
from faultmaven.infrastructure.llm.http.transport import (
    HTTPTransport,
    Reply,
    StreamReply,
    Transport,
)

__all__ = [
    "HTTPTransport",
    "Reply",
    "StreamReply",
    "Transport",
    "TransportPolicy",
    "intercept",
    "intercepted",
]
