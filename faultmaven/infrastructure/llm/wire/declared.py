"""A dialect as data, the answers: JSON pointers for text, tool calls, tokens, reasons and errors.

Pointers are those of RFC 6901, with `*` for every item of a list; several are tried in turn.  See
`schemas/dialect.schema.json` and docs/declared-dialects.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.types import ToolCall, Usage
from faultmaven.infrastructure.llm.wire import content
from faultmaven.infrastructure.llm.wire.answer import make_response, normalise_finish
from faultmaven.infrastructure.llm.wire.errors import parse_error_object
from faultmaven.infrastructure.llm.wire.fields import as_object, count_in, malformed, sum_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import FinishReason, LLMResponse

    Pointers = str | list[str] | None

COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_ABSENT: Final = object()


class Pointer:
    """One place, or with `*` several, in a JSON document."""

    __slots__ = ("_steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = tuple(
            step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]
        )

    def values(self, data: Any, *, strict: bool = True) -> list[Any]:
        """Give what is there, null left out.

        Raises:
            ResponseFormatError: a step leads into a value that has no inside; not raised where
                `strict` is false.
        """
        found = [data]
        for step in self._steps:
            found = [
                value
                for outer in found
                for value in self._inside(outer, step, strict=strict)
                if value is not None
            ]
        return found

    def is_in(self, data: Any) -> bool:
        """Tell whether the place exists, even if null is there."""
        for step in self._steps:
            if isinstance(data, list) and step.isdecimal() and int(step) < len(data):
                data = data[int(step)]
            else:
                data = data.get(step, _ABSENT) if isinstance(data, dict) else _ABSENT
        return data is not _ABSENT

    def _inside(self, outer: Any, step: str, *, strict: bool) -> Iterable[Any]:
        if isinstance(outer, dict) and step != "*":
            return (outer.get(step),)
        if isinstance(outer, list):
            if step == "*":
                return outer
            return outer[int(step) : int(step) + 1] if step.isdecimal() else ()
        if strict:
            expected = "a list" if step == "*" else "an object"
            raise malformed(outer, self.text, expected)
        return ()


class Place:
    """Alternatives of one fact: the first pointer that finds something counts."""

    __slots__ = ("_pointers",)

    def __init__(self, pointers: Pointers) -> None:
        listed = [pointers] if isinstance(pointers, str) else pointers or []
        self._pointers = [Pointer(text) for text in listed]

    def __bool__(self) -> bool:
        return bool(self._pointers)

    def values(self, data: Any) -> list[Any]:
        """Give all values at the first alternative that has any."""
        for pointer in self._pointers:
            if found := pointer.values(data):
                return found
        return []

    def text(self, data: Any) -> str:
        """Join the texts at the first alternative that has any; "" for none.

        Raises:
            ResponseFormatError: something else than text is there.
        """
        for pointer in self._pointers:
            found = pointer.values(data)
            for value in found:
                if not isinstance(value, str):
                    raise malformed(value, pointer.text, "text")
            if joined := "".join(found):
                return joined
        return ""

    def count(self, data: Any) -> int | None:
        """Give a token count; None where there is none."""
        for pointer in self._pointers:
            for value in pointer.values(data, strict=False):
                if (number := count_in({"count": value}, "count")) is not None:
                    return number
        return None

    def peek(self, data: Any) -> Any:
        """Give the first value that is neither null nor empty, whatever it is; None for none."""
        for pointer in self._pointers:
            for value in pointer.values(data, strict=False):
                if value:
                    return value
        return None

    def is_in(self, data: Any) -> bool:
        """Tell whether one of the places exists."""
        return any(pointer.is_in(data) for pointer in self._pointers)


class CallMap:
    """Where tool calls are, and what is where in each."""

    __slots__ = ("arguments", "at", "event_index", "id", "index", "name", "seed")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.at = Place(data.get("at"))
        self.id = Place(data.get("id"))
        self.name = Place(data.get("name"))
        self.arguments = Place(data.get("arguments"))
        self.index = Place(data.get("index"))
        self.event_index = Place(data.get("event_index"))
        self.seed = Place(data.get("id_seed"))

    def calls(self, data: Any) -> Iterator[dict[str, Any]]:
        """Give the calls, whether a list of them is there or a single one."""
        for value in self.at.values(data):
            for item in value if isinstance(value, list) else (value,):
                yield as_object(item, "tool_calls")

    def arguments_of(self, call: dict[str, Any]) -> str:
        """Give a call's arguments as text."""
        return content.arguments_text(next(iter(self.arguments.values(call)), None))

    def make(self, call: dict[str, Any], index: int, data: Any) -> ToolCall:
        """Read one whole call; an id that the provider left out is made up."""
        name, arguments = self.name.text(call), self.arguments_of(call)
        call_id = self.id.text(call)
        if not call_id:
            seeds = (self.seed.text(data),) if self.seed else ()
            call_id = content.make_call_id(index, *seeds, name, arguments)
        return ToolCall.make(call_id, name, arguments)


class AnswerMap:
    """What is where in a whole answer, or in one kind of a stream's events.

    Args:
        data: as `answer` in `schemas/dialect.schema.json`.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.needed = [Place(pointers) for pointers in data.get("require") or ()]
        self.text = Place(data.get("text"))
        self.reasoning = Place(data.get("reasoning"))
        self.refusal = Place(data.get("refusal"))
        self.model = Place(data.get("model"))
        self.id = Place(data.get("id"))
        self.finish_reason = Place(data.get("finish_reason"))
        self.error = Place(data.get("error"))
        self.error_text = Place(data.get("error_text"))
        self.calls = CallMap(data.get("tool_calls") or {})
        self.details = {kind: Place(p) for kind, p in (data.get("details") or {}).items()}
        self._usage = {
            name: [Place(p) for p in places["sum"]]
            if isinstance(places := (data.get("usage") or {}).get(name), dict)
            else [Place(places)]
            for name in COUNTS
        }
        self.has_usage = bool(data.get("usage"))
        last = data.get("last", False)
        self.is_last = last is True
        self.last = Place(last if isinstance(last, str) else None)

    def usage(self, data: Any) -> Usage | None:
        """Read token counts; None where this has none to read."""
        if not self.has_usage:
            return None
        counts = {
            name: sum_of(*(place.count(data) for place in places))
            for name, places in self._usage.items()
        }
        return Usage(**counts)

    def raise_error(self, data: Any) -> None:
        """Raise what the document says went wrong.

        Raises:
            LLMError: it says that something did.
        """
        found = self.error.peek(data)
        if not found and isinstance(text := self.error_text.peek(data), str):
            found = text
        if found:
            raise parse_error_object({"error": found} if isinstance(found, dict | str) else data)


class DeclaredDialect:
    """A dialect that a row describes in its `dialect`: the reading of answers.

    Args:
        data: valid by `schemas/dialect.schema.json`.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.response = AnswerMap(data["response"])
        self.words: Mapping[str, FinishReason] = data.get("finish_reasons") or {}
        self.failures = frozenset(data.get("failures") or ())
        known = ("stop", "length", "tool_calls", "content_filter")
        for ours in self.words.values():
            if ours not in known:
                msg = f"finish_reasons: {ours!r} is none of {', '.join(known)}"
                raise ConfigurationError(msg, code="bad_dialect")

    def read_response(self, data: Any) -> LLMResponse:
        """Read a plain answer.

        Raises:
            LLMError: the body says that the call failed.
            ResponseFormatError: the body is not what the dialect says.
        """
        places = self.response
        # A list is an answer only where the dialect says what is in it.
        is_known_list = isinstance(data, list) and places.needed
        body = data if is_known_list else as_object(data, "body")
        places.raise_error(body)
        for needed in places.needed:
            if not needed.is_in(body):
                raise malformed(None, "body", "what the dialect requires")
        raw_reason = places.finish_reason.text(body) or None
        self.raise_failure(raw_reason)
        calls = [places.calls.make(c, n, body) for n, c in enumerate(places.calls.calls(body))]
        fragments = {kind: place.text(body) for kind, place in places.details.items()}
        return make_response(
            text=places.text.text(body),
            reasoning=places.reasoning.text(body),
            reasoning_details=make_details(fragments),
            refusal=places.refusal.text(body) or None,
            tool_calls=calls,
            model=places.model.text(body),
            response_id=places.id.text(body) or None,
            usage=places.usage(body),
            finish_reason=normalise_finish(raw_reason, self.words, has_tool_calls=bool(calls)),
            finish_reason_raw=raw_reason,
            raw=data,
        )

    def raise_failure(self, raw_reason: str | None) -> None:
        """Raise the error that a finish reason means.

        Raises:
            ServerError: it is one of `failures`.
        """
        if raw_reason in self.failures:
            msg = f"the provider ended the answer with {raw_reason}"
            raise parse_error_object({"message": msg}, 500)


def make_details(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Keep texts that the provider wants back with the turn, each under its format."""
    return [
        {"type": "reasoning.text", "text": text, "format": kind}
        for kind, text in texts.items()
        if text
    ]


def read_error_fields(errors: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """Take message, code and type of a refused call's body, by the dialect's `errors`."""
    return {
        name: value
        for name in ("message", "code", "type")
        if (value := Place(errors.get(name)).peek(data)) is not None
    }
