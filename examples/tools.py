"""Let the model call a function, and answer with what it gave."""

from __future__ import annotations

from typing import Any

import faultmaven

MAX_TURNS = 5
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Give the weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def get_weather(city: str) -> str:
    """Stand in for a weather service."""
    return f"18 degrees and sunny in {city}"


def main() -> None:
    """Go on until the model has no more to look up."""
    talk: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Graz?"}]
    for _ in range(MAX_TURNS):
        response = faultmaven.complete(talk, tools=TOOLS)
        talk.append(response.message)
        if not response.tool_calls:
            break
        for call in response.tool_calls:
            result = get_weather(**(call.arguments or {"city": "nowhere"}))
            print(f"{call.name}({call.arguments}) -> {result}")
            talk.append({"role": "tool", "tool_call_id": call.id, "content": result})
    print(talk[-1].get("content"))


if __name__ == "__main__":
    main()
