"""A thin HTTP/1.1 client for relayed calls, in place of aiohttp's; the seam is `Transport`.

It does what a relay needs and no more: pooled connections, strict framing, one timer for all waits,
back-pressure.  What it cannot do (proxies) is left to `HTTPTransport`.
"""

from faultmaven.gateway.lean.transport import LeanTransport

__all__ = ["LeanTransport"]
