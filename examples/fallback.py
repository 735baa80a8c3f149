"""Ask CHAT_PROVIDER and, where it fails, the next of FALLBACK_PROVIDERS; show who was tried."""

from __future__ import annotations

import asyncio

from faultmaven.infrastructure.llm.providers import get_registry


async def main() -> None:
    """Print the answer and the receipt."""
    async with get_registry() as registry:
        response = await registry.route_request("Hello", timeout=60)
    print(response.content)
    for attempt in response.route.attempts if response.route else ():
        print(f"{attempt.provider} {attempt.model}: {attempt.outcome}, {attempt.duration_ms} ms")


if __name__ == "__main__":
    asyncio.run(main())
