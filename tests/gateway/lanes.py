"""The ways of a question through the gateway, and how to read what comes back by each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.gateway.conftest import MESSAGES, events_of


@dataclass(frozen=True)
class Lane:
    """A client's API and a provider's: the same is relayed, another is translated."""

    front: str
    provider: str

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.front == "chat" else "/v1/messages"

    def body(self, spec: str, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
        model = f"{self.provider}/fm:{spec}"
        return {
            "model": model,
            "max_tokens": 64,
            "messages": MESSAGES,
            "stream": stream,
            **fields,
        }

    def text_of(self, body: str, *, stream: bool) -> str:
        """Give the text of a good answer."""
        if stream:
            return "".join(map(self._piece, map(json.loads, self.events(body))))
        answer = json.loads(body)
        if self.front == "chat":
            return answer["choices"][0]["message"]["content"] or ""
        return "".join(block.get("text", "") for block in answer["content"])

    def events(self, body: str) -> list[str]:
        """Give the events of a stream without the mark of its end."""
        return [event for event in events_of(body) if event != "[DONE]"]

    def ends(self, body: str) -> int:
        """Count the marks of a complete stream."""
        if self.front == "chat":
            return events_of(body).count("[DONE]")
        return body.count("event: message_stop\n")

    def error_of(self, answer: Any) -> dict[str, Any]:
        """Check an error's shape and give what is the same in both APIs."""
        if self.front == "chat":
            error = answer["error"]
            assert set(error) == {"message", "type", "param", "code"}
            return error
        assert answer["type"] == "error"
        assert {"type", "message"} <= set(answer["error"])
        return answer["error"]

    def broken_by(self, body: str) -> dict[str, Any] | None:
        """Give the error that a stream ended with, None for none."""
        last = json.loads(self.events(body)[-1])
        is_error = "error" in last if self.front == "chat" else last["type"] == "error"
        return self.error_of(last) if is_error else None

    def _piece(self, event: dict[str, Any]) -> str:
        if self.front == "chat":
            return "".join(
                choice["delta"].get("content") or ""
                for choice in event["choices"]
                if choice["index"] == 0
            )
        return event.get("delta", {}).get("text", "")


LANES = {
    "relayed chat": Lane("chat", "openai"),
    "relayed messages": Lane("messages", "anthropic"),
    "chat to messages": Lane("chat", "anthropic"),
    "messages to chat": Lane("messages", "openai"),
}
