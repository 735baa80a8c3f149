"""What a dialect of the fake upstream is: routes, and how questions and answers are written."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faultmaven.testing.answers import Answer, Question
    from faultmaven.testing.journal import RecordedRequest

EventKind = Literal["start", "content", "tool", "finish", "usage", "done"]
EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON_TYPE = "application/json"
DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    Attributes:
        data: the payload; a string goes out as it is, the rest as JSON.
        kind: its part in the answer, for faults that leave something out.
        name: the event's name where the dialect has names.
    """

    data: Any
    kind: EventKind = "content"
    name: str | None = None

    @property
    def text(self) -> str:
        """The payload as it goes onto the wire."""
        return self.data if isinstance(self.data, str) else dump(self.data)


def dump(value: Any) -> str:
    """Write JSON as most providers do: compact, not escaped; half surrogates are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)


class Dialect(ABC):
    """One endpoint of one provider family.

    Attributes:
        name: as in `FakeUpstream.dialects()`.
        method: the HTTP method it answers.
        pattern: matched against the whole decoded path; a group `model` names the model.
        stream_type: content type of its streams; None where it has none.
    """

    name: ClassVar[str]
    method: ClassVar[str] = "POST"
    pattern: ClassVar[re.Pattern[str]]
    stream_type: ClassVar[str | None] = None

    @abstractmethod
    def question(self, request: RecordedRequest, path: re.Match[str]) -> Question:
        """Read what is asked; lenient, for it must answer odd requests too."""

    @abstractmethod
    def body(self, question: Question, answer: Answer) -> Any:
        """Write the whole answer as JSON-ready data."""

    def events(self, question: Question, answer: Answer) -> Sequence[Event]:
        """Write the answer as a stream."""
        raise NotImplementedError

    def frame(self, event: Event) -> bytes:
        """Put an event into the stream's framing."""
        name = "" if event.name is None else f"event: {event.name}\n"
        return f"{name}data: {event.text}\n\n".encode()

    def frames(self, _question: Question, events: Iterable[Event]) -> list[bytes]:
        """Put all events into the stream's framing."""
        return [self.frame(event) for event in events]

    def comment(self) -> bytes:
        """Give bytes that keep a stream alive without saying anything."""
        return b": keep-alive\n\n" if self.stream_type == EVENT_STREAM else b"\n"

    def error_body(self, status: int, message: str, kind: str, code: str | None) -> Any:
        """Write an error body; `kind` and `code` are in OpenAI's words."""
        return {"error": {"message": message, "type": kind, "param": None, "code": code or status}}

    def error_event(self, status: int, message: str, kind: str, code: str | None) -> Event:
        """Write an error as an event of a stream under status 200."""
        return Event(self.error_body(status, message, kind, code), "content")

    def error_headers(self, _status: int) -> list[tuple[str, str]]:
        """Give headers that go with an error."""
        return []


def as_dict(value: Any) -> dict[str, Any]:
    """Give a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Give a JSON array, an empty one for anything else."""
    return value if isinstance(value, list) else []


def text_of(content: Any) -> str:
    """Give the text in a message's content: a string, or parts with a `text`."""
    if isinstance(content, str):
        return content
    return " ".join(str(p["text"]) for p in as_list(content) if "text" in as_dict(p))


def prompt_of(messages: Iterable[Any], *others: Any) -> tuple[str, str]:
    """Give the text of a whole prompt, and of its last turn where that is a user's."""
    turns = [as_dict(message) for message in messages]
    texts = [text_of(other) for other in others] + [text_of(turn.get("content")) for turn in turns]
    is_user_last = bool(turns) and turns[-1].get("role") == "user"
    return "\n".join(text for text in texts if text), texts[-1] if is_user_last else ""
