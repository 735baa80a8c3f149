"""The values that flow through FaultMaven: messages, requests, responses, chunks.

Messages, tool calls and tool-call deltas *are* JSON objects in OpenAI's shape (dict subclasses), so
that they go onto the wire and into a conversation as they are; their fields can also be read as
attributes.  The rest is plain slotted data.

Token counts mean the same for every dialect: `input_tokens` is the whole prompt with cache reads and
writes inside, `output_tokens` includes reasoning.  None means that the provider did not say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
UsageSource = Literal["reported", "estimated", "none"]
CostStatus = Literal["actual", "estimated", "unknown"]

# Made at run time: a literal of the same value in a caller's code is never the same object, which is
# how `is_default` tells what nobody asked for from what somebody typed.
DEFAULT_MAX_TOKENS = int("1000")
DEFAULT_TEMPERATURE = float("0.7")


def is_default(value: object) -> bool:
    """Tell whether a parameter is the default of `generate` itself, which a caller did not set.

    A caller's own 0.7 or 1000 is theirs.  A model that cannot take a default goes without it in
    silence; one that cannot take a caller's value says so.
    """
    return value is DEFAULT_TEMPERATURE or value is DEFAULT_MAX_TOKENS


class LLMMessage(dict[str, Any]):
    """One turn of a conversation, an OpenAI-shaped JSON object: `LLMMessage(role="user", content="Hi")`.

    `content` is a string, None, or a list of parts (`text`, `image_url`, `input_audio`, `file`).
    An assistant turn may carry `tool_calls`, `reasoning` (text) and `reasoning_details` (blocks with
    their signatures, as a provider wants them back); a tool turn carries `tool_call_id`.
    """

    __slots__ = ()

    @property
    def role(self) -> str:
        """Who speaks: system, developer, user, assistant or tool."""
        return str(self["role"])

    @property
    def content(self) -> Any:
        """What is said: text, parts, or None."""
        return self.get("content")


class ToolCall(dict[str, Any]):
    """A call that the model wants made, in OpenAI's shape: `{id, type, function: {name, arguments}}`.

    `function.arguments` is the model's own text, verbatim, even where it is not valid JSON.
    """

    __slots__ = ("_cut_off",)

    @classmethod
    def make(cls, call_id: str, name: str, arguments: str) -> ToolCall:
        """Build a function call; `arguments` is JSON text, `""` for none."""
        return cls(id=call_id, type="function", function={"name": name, "arguments": arguments})

    @property
    def id(self) -> str:
        """What a tool result names as `tool_call_id`."""
        return str(self["id"])

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(self["function"]["name"])

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The parsed arguments; `{}` for none, None where the text is cut off or no JSON object."""
        text = self.arguments_raw.strip()
        if getattr(self, "_cut_off", False):
            return None
        if not text or text == "null":
            return {}
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def arguments_raw(self) -> str:
        """The arguments as the model wrote them."""
        return str(self["function"]["arguments"])

    def mark_cut_off(self) -> None:
        """Say that the token limit ended the answer before this call had its arguments."""
        self._cut_off = True


class ToolCallDelta(dict[str, Any]):
    """A piece of a streamed tool call: `{index, id?, type?, function: {name?, arguments?}}`.

    `id` and `name` come once, with the first piece of an `index`; `arguments` are to be joined.
    """

    __slots__ = ()

    @classmethod
    def make(
        cls, index: int, call_id: str | None = None, name: str | None = None, arguments: str = ""
    ) -> ToolCallDelta:
        """Build the first piece of a call (with id and name) or a further one (without)."""
        if call_id is None and name is None:
            return cls(index=index, function={"arguments": arguments})
        return cls(
            index=index,
            id=call_id,
            type="function",
            function={"name": name, "arguments": arguments},
        )

    @property
    def index(self) -> int:
        """Which call of the answer this belongs to, from 0."""
        return int(self["index"])

    @property
    def id(self) -> str | None:
        """The call's id, in the first piece only."""
        return self.get("id")

    @property
    def name(self) -> str | None:
        """The tool's name, in the first piece only."""
        function: dict[str, Any] = self["function"]
        return function.get("name")

    @property
    def arguments(self) -> str:
        """A fragment of the arguments' JSON text, `""` for none."""
        return str(self["function"].get("arguments") or "")


@dataclass(slots=True)
class Usage:
    """Tokens of one call, and the sum if stated; None where the provider did not report a number."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class LLMRequest:
    """One call, in the terms that all providers share.

    Attributes:
        messages: OpenAI-shaped turns, oldest first.
        model: the provider's name for the model; None means the provider's configured one.
        system_prompt: goes before `messages`, wherever the dialect keeps it.
        max_tokens: upper bound of the answer; None sends none (and where a dialect demands one, its
            model's own limit or 4096).
        temperature: 0 is 0; None sends none.
        stop: one or several stop sequences.
        tools: OpenAI-shaped tools.
        tool_choice: "auto", "none", "required" or `{"type": "function", "function": {"name"}}`.
        output_schema: JSON Schema that the answer must match; the parsed answer is in `parsed`.
        response_format: OpenAI's own shape, for those who have one; `output_schema` wins.
        reasoning_effort: none, minimal, low, medium, high, xhigh or max.
        timeout: seconds for the whole call, all attempts and waits included; None is the
            configured one.
        metadata: for the caller's own records; not sent unless the dialect has a field for it.
        stream: set by the stream calls.
        extra: further fields of the provider's body, sent unchanged.
    """

    messages: list[LLMMessage]
    model: str | None = None
    temperature: float | None = DEFAULT_TEMPERATURE
    max_tokens: int | None = None
    system_prompt: str | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    timeout: float | None = None
    metadata: dict[str, Any] | None = None
    stream: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.messages = [m if type(m) is LLMMessage else LLMMessage(m) for m in self.messages]

    def to_dict(self) -> dict[str, Any]:
        """Give the fields that are set, as JSON-ready data; `from_dict` reads it back."""
        return {
            f.name: value for f in fields(self) if not _is_unset(value := getattr(self, f.name), f)
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLMRequest:
        """Build a request from `to_dict`'s data; fields it does not know go to `extra`."""
        known = {f.name for f in fields(cls)}
        extra = {k: v for k, v in data.items() if k not in known} | dict(data.get("extra", {}))
        return cls(**{k: v for k, v in data.items() if k in known and k != "extra"}, extra=extra)


_REQUEST_OPTIONS = frozenset(f.name for f in fields(LLMRequest)) - {"messages", "extra", "stream"}


def make_request(
    prompt: str | Iterable[Mapping[str, Any]],
    model: str | None = None,
    max_tokens: int | None = DEFAULT_MAX_TOKENS,
    temperature: float | None = DEFAULT_TEMPERATURE,
    options: Mapping[str, Any] | None = None,
) -> LLMRequest:
    """Build the request of a `generate` call: a prompt or messages, and keyword options.

    Options that are not fields of `LLMRequest` are meant for the provider's body (`extra`).

    Raises:
        InvalidRequestError: the prompt is neither text nor a list of messages.
    """
    turns: Any = [LLMMessage(role="user", content=prompt)] if isinstance(prompt, str) else prompt
    try:
        request = LLMRequest(turns, model, temperature, max_tokens)
    except (TypeError, ValueError):
        from faultmaven.infrastructure.llm.errors import InvalidRequestError

        msg = f"A prompt is text or a list of messages, not {type(prompt).__name__}."
        raise InvalidRequestError(msg, code="bad_prompt") from None
    if options:
        for name, value in options.items():
            if name in _REQUEST_OPTIONS:
                setattr(request, name, value)
            else:
                request.extra[name] = value
    return request


@dataclass(slots=True)
class Attempt:
    """One try at one provider, as a receipt keeps it.

    `outcome` is "ok", the class name of the error, or, where no try was made, "circuit_open" or
    "cooling_down"; `duration_ms` is the try's wall time.
    """

    provider: str
    model: str
    outcome: str
    duration_ms: int = 0
    status: int | None = None


@dataclass(slots=True)
class Route:
    """The receipt of how a reply came about.

    `rule` names what chose the provider ("CHAT_PROVIDER", "explicit", "fallback", …); `unsupported`
    lists what was done to parameters that the provider cannot take, one sentence each.  `oddity` says in
    what form the answer came, where that was not the usual one: "content_type" for a type that is not the
    body's, "not_streamed" and "streamed" for an answer in one piece where a stream was asked for, and the
    other way round; it was taken nevertheless.
    """

    rule: str = "explicit"
    attempts: list[Attempt] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    oddity: str = ""


@dataclass(slots=True)
class LLMResponse:
    """One answer.

    The first six fields are all that a custom provider must give.

    Attributes:
        content: the visible text; "" where the model only called tools.
        confidence: the row's `confidence_score`, 0 to 1.
        provider: the row's name.
        model: the model that answered, in the provider's words.
        tokens_used: `input_tokens + output_tokens`.
        response_time_ms: wall time of the whole call, at least 1.
        cached: whether it came from our cache.
        tool_calls: what the model wants called, in order.
        reasoning: the model's thinking as text, "" for none.
        reasoning_details: thinking as the provider's own blocks, signatures included, for the next turn.
        refusal: the model's refusal where the provider tells it apart from content.
        media: images and sound that the model made, as OpenAI-shaped parts (`image_url` with a data
            URL, `audio`).
        finish_reason: stop, length, tool_calls, content_filter; None where the provider gave none.
        finish_reason_raw: the provider's own word.
        cost_usd: US dollars; None where a price is not known, 0.0 only where it costs nothing.
        cost_status: "actual" where the provider stated the sum itself, "estimated" where it was
            computed from prices, "unknown" where there is none.
        input_tokens: the whole prompt as the provider counted it; None where it reported no usage.
        output_tokens: the whole answer likewise, reasoning included.
        usage_source: "reported"; "estimated" where only `estimated_usage` is known; "none".
        estimated_usage: our estimate where the provider reported nothing; what budgets are charged.
        parsed: the answer as data, valid against the requested schema.
        raw_response: the provider's body.
        route: how the reply came about.
    """

    content: str
    confidence: float
    provider: str
    model: str
    tokens_used: int
    response_time_ms: int
    cached: bool = False
    tool_calls: list[ToolCall] = field(default_factory=list)
    reasoning: str = ""
    finish_reason: FinishReason | None = None
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    response_id: str | None = None
    parsed: Any = None
    raw_response: Any = field(default=None, repr=False)
    route: Route | None = None
    finish_reason_raw: str | None = None
    reasoning_details: list[dict[str, Any]] = field(default_factory=list, repr=False)
    refusal: str | None = None
    usage_source: UsageSource = "none"
    estimated_usage: Usage | None = None
    success: bool = True
    error: str | None = None
    cost_status: CostStatus = "unknown"
    media: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.cost_usd is not None and self.cost_status == "unknown":
            self.cost_status = "estimated"

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens and money by name, estimates where nothing was reported; the keys are always there."""
        known = self if self.estimated_usage is None else self.estimated_usage
        return {
            "input_tokens": known.input_tokens or 0,
            "output_tokens": known.output_tokens or 0,
            "total_tokens": (known.input_tokens or 0) + (known.output_tokens or 0),
            "cache_read_tokens": self.cache_read_tokens or 0,
            "cache_write_tokens": self.cache_write_tokens or 0,
            "reasoning_tokens": self.reasoning_tokens or 0,
            "cost_usd": self.cost_usd,
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """`finish_reason` and `response_id` under one name."""
        return {"finish_reason": self.finish_reason, "response_id": self.response_id}

    @property
    def message(self) -> LLMMessage:
        """The answer as a turn to append to the conversation."""
        turn = LLMMessage(role="assistant", content=self.content or None)
        if self.tool_calls:
            turn["tool_calls"] = self.tool_calls
        if self.reasoning:
            turn["reasoning"] = self.reasoning
        if self.reasoning_details:
            turn["reasoning_details"] = self.reasoning_details
        return turn

    def to_dict(self) -> dict[str, Any]:
        """Give every field as JSON-ready data; `from_dict` reads it back."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        if (usage := self.estimated_usage) is not None:
            data["estimated_usage"] = {f.name: getattr(usage, f.name) for f in fields(usage)}
        if self.route is not None:
            data["route"] = {
                "rule": self.route.rule,
                "attempts": [
                    {f.name: getattr(a, f.name) for f in fields(a)} for a in self.route.attempts
                ],
                "unsupported": self.route.unsupported,
            }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLMResponse:
        """Build a response from `to_dict`'s data."""
        values = dict(data)
        values["tool_calls"] = [ToolCall(c) for c in values.get("tool_calls") or []]
        if usage := values.get("estimated_usage"):
            values["estimated_usage"] = Usage(**usage)
        if route := values.get("route"):
            attempts = [Attempt(**a) for a in route["attempts"]]
            values["route"] = Route(route["rule"], attempts, list(route["unsupported"]))
        return cls(**values)


@dataclass(slots=True)
class LLMChunk:
    """A piece of a streamed answer.

    Fields are empty where the piece says nothing of them.  The last chunk carries `finish_reason`,
    `usage`, `model` and `response_id`, and in `unsupported` what a response has in
    `route.unsupported`.  The first one carries the receipt of the tries that led to it in `route`.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCallDelta] | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    finish_reason_raw: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    refusal: str | None = None
    unsupported: list[str] | None = None
    media: list[dict[str, Any]] | None = None
    route: Route | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class EmbeddingResponse:
    """Vectors, one for each text in the order given; every vector has the same length.

    `unsupported` says what of the request the provider could not take, one sentence each.
    """

    vectors: list[list[float]]
    model: str
    input_tokens: int | None = None
    cost_usd: float | None = None
    unsupported: list[str] = field(default_factory=list)


ChatRequest = LLMRequest


@dataclass(slots=True)
class ChatResponse:
    """What a custom dialect's `_transform_response` may return: text, model and two token counts."""

    content: str
    model: str
    usage: dict[str, int] = field(default_factory=dict)
    provider: str = ""

    def __post_init__(self) -> None:
        self.usage = {"input_tokens": 0, "output_tokens": 0} | self.usage


def _is_unset(value: Any, spec: Any) -> bool:
    if spec.default_factory is dict:
        return not value
    # A caller's own 0.7 is not the default: it has to come back as theirs.
    return value is spec.default or (value == spec.default and not isinstance(value, float))
