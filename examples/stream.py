"""Show an answer while it is being written."""

from __future__ import annotations

import asyncio
import sys

import faultmaven


async def main() -> None:
    """Print the pieces as they come, and the tokens at the end."""
    prompt = " ".join(sys.argv[1:]) or "Count to ten."
    usage = None
    async for chunk in faultmaven.astream(prompt):
        print(chunk.text, end="", flush=True)
        usage = chunk.usage or usage
    print()
    if usage is not None:
        print(f"{usage.input_tokens} tokens in, {usage.output_tokens} out")


if __name__ == "__main__":
    asyncio.run(main())
