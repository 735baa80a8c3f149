"""Ask once and show the answer, its tokens and its cost."""

from __future__ import annotations

import sys

import faultmaven


def main() -> None:
    """Answer the words of the command line."""
    prompt = " ".join(sys.argv[1:]) or "Why is the sky blue? One sentence."
    response = faultmaven.complete(prompt)
    print(response.content)
    cost = "unknown" if response.cost_usd is None else f"{response.cost_usd:.6f} USD"
    print(f"{response.provider} {response.model}: {response.tokens_used} tokens, cost {cost}")


if __name__ == "__main__":
    main()
