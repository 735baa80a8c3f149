"""What becomes of each request parameter at one model: taken, mapped, clamped, or refused.

`make_rules` joins what is known of a model (the row, the first of its `model_rules` that matches, the
catalog) once; `ParameterRules` then applies it to every request.  Nothing is done in silence: each change
to what the caller asked for is a sentence in the report, and with the policy "error" it is an
`UnsupportedParameterError` instead.  A default that the caller did not ask for goes without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import UnsupportedParameterError
from faultmaven.infrastructure.llm.types import LLMRequest, is_default
from faultmaven.infrastructure.llm.wire.cache_marks import without_marks
from faultmaven.infrastructure.llm.wire.model_rules import find_rule
from faultmaven.infrastructure.llm.wire.system_prompt import fold_system, has_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from faultmaven.infrastructure.llm.catalog import ModelInfo

    Read = Callable[[str], Any]

_MISSING: Final = object()
_FIELDS: Final = frozenset(f.name for f in fields(LLMRequest)) - {"messages", "extra"}
# Where rules do not reach: the wanted structure has levels of its own (wire/structured.py).
_BY_LEVEL: Final = frozenset({"output_schema", "response_format"})
# Useless without tools, and meaningless to miss then.
_WITH_TOOLS: Final = ("tool_choice", "parallel_tool_calls")
_OTHER_LIMITS: Final = ("max_completion_tokens", "max_output_tokens")

# Parameters that need a capability, in the words of the row and of the catalog.
_NEEDED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("temperature", ("temperature",)),
    ("tools", ("tools",)),
    ("reasoning", ("reasoning_effort",)),
    ("seed", ("seed",)),
    ("logprobs", ("logprobs", "top_logprobs")),
    ("parallel_tools", ("parallel_tool_calls",)),
)
_CATALOG_WORDS: Final = {"images": "vision", "files": "pdf"}

# Values that ask for nothing: left out without a word where the parameter is not taken.
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "n": (1,),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "tool_choice": ("auto",),
}
# The same where it is the dialect that has no place for the parameter: whether calls are made one by one is
# nothing to a model that makes one only, and something to an API that cannot be told.
_NEUTRAL_TO_DIALECTS: Final[dict[str, tuple[Any, ...]]] = {
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "verbosity": ("medium",),
}


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """What one model of one provider does with parameters.

    Attributes:
        row: the provider's row with the model's own rule laid over it.
        model: the provider's name for the model, for sentences.
        policy: `on_unsupported`: "error", "warn" or "drop".
        refused: parameters that cannot be taken.
        clamps: (parameter, lowest, highest).
        tool_choice: the host's words for auto, none, required and function; None for no such thing.
        drops_cache_marks: whether `cache_control` must go out of parts and tools.
        is_blind: whether the model is known to read no images.
        takes_schemas: False where the model is known not to be held to a JSON Schema.
        takes_tools: False where it is known to call none.
        takes_system: False where it takes no system prompt.
        takes_stream: False where it answers in one piece only.
    """

    row: Mapping[str, Any]
    model: str = ""
    policy: str = "warn"
    refused: tuple[str, ...] = ()
    clamps: tuple[tuple[str, float, float], ...] = ()
    tool_choice: Mapping[str, Any] | None = None
    drops_cache_marks: bool = False
    is_blind: bool = False
    takes_schemas: bool = True
    takes_tools: bool = True
    takes_system: bool = True
    takes_stream: bool = True

    def adapt(self, request: LLMRequest, report: list[str]) -> LLMRequest:
        """Give the request as this model takes it; the same object where nothing has to change.

        Args:
            request: not changed.
            report: gets a sentence for each parameter that is not sent as asked.

        Raises:
            UnsupportedParameterError: the policy is "error" and a parameter cannot be taken.
        """
        if self.refused or self.clamps or self.tool_choice or request.extra:
            changes = self._decide(_reader(request), report)
            if changes:
                request = _with_changes(request, changes)
        if not self.takes_system and has_system(request):
            self._say_system(report)
            request = self.without_system(request)
        if self.is_blind and _has_images(request.messages):
            self._say_blind(report)
        if self.drops_cache_marks:
            messages, tools = without_marks(request.messages), without_marks(request.tools)
            if messages is not request.messages or tools is not request.tools:
                request = replace(request, messages=messages, tools=tools)
                self._say_marks(report)
        return request

    def without_system(self, request: LLMRequest) -> LLMRequest:
        """Give the request with its system prompt in the first message, where the model takes none."""
        return request if self.takes_system else fold_system(request)

    def leave_out(
        self, request: LLMRequest, names: Iterable[str], report: list[str]
    ) -> LLMRequest:
        """Give the request without what its dialect has no place for.

        Args:
            request: not changed.
            names: parameters; those that the request does not set are passed over, and so is the
                wanted structure, which has levels of its own.
            report: gets a sentence for each.

        Raises:
            UnsupportedParameterError: as for `adapt`.
        """
        read = _reader(request)
        given = {n: v for n in names if n not in _BY_LEVEL and (v := read(n)) is not None}
        for name, value in given.items():
            neutral = _NEUTRAL_TO_DIALECTS.get(name, _NEUTRAL.get(name, ()))
            if not is_default(value) and value not in neutral:
                self.refuse(name, report)
        return _with_changes(request, dict.fromkeys(given)) if given else request

    def leave_out_tools(
        self, request: LLMRequest, foreign: Iterable[tuple[dict[str, Any], str]], report: list[str]
    ) -> LLMRequest:
        """Give the request without tools that only another API's service can run.

        Args:
            request: not changed.
            foreign: those of its tools, each with its name.
            report: gets a sentence for each.

        Raises:
            UnsupportedParameterError: as for `adapt`.
        """
        out = []
        for tool, name in foreign:
            self.refuse(f"the tool {name}", report)
            out.append(tool)
        if not out:
            return request
        kept = [tool for tool in request.tools or () if tool not in out]
        if kept:
            return replace(request, tools=kept)
        return _with_changes(request, {"tools": None, **dict.fromkeys(_WITH_TOOLS)})

    def adapt_body(self, body: dict[str, Any], report: list[str]) -> dict[str, Any]:
        """Do to a client's whole body what `adapt` and `finish` do to a request; it is changed.

        Raises:
            UnsupportedParameterError: as for `adapt`.
        """
        for name, value in self._decide(body.get, report).items():
            if value is None:
                del body[name]
            else:
                body[name] = value
        if self.is_blind and _has_images(body.get("messages")):
            self._say_blind(report)
        if self.drops_cache_marks:
            changed = [
                n for n in ("messages", "tools") if without_marks(body.get(n)) is not body.get(n)
            ]
            for name in changed:
                body[name] = without_marks(body[name])
                self._say_marks(report)
        return self.finish(body, report)

    def finish(self, body: dict[str, Any], report: list[str]) -> dict[str, Any]:
        """Say a finished body in the host's own words: tool choice, names, fields to add; it is changed.

        Raises:
            UnsupportedParameterError: the policy is "error" and a field cannot be taken.
        """
        if self.tool_choice:
            self._say_choice(body)
        params: Mapping[str, Any] | None = self.row.get("params")
        if not params:
            return body
        for name in params.get("drop", ()):
            if name in body:
                self._refuse(name, body.pop(name), report)
        for name, other in (params.get("rename") or {}).items():
            if name in body:
                value = body.pop(name)
                # The provider's own field, given by the caller, goes before ours.
                if body.setdefault(other, value) != value and not is_default(value):
                    _tell(report, f"{name} gave way to {other}")
        for name, value in (params.get("defaults") or {}).items():
            body.setdefault(name, value)
        return body

    def refuse(self, name: str, report: list[str]) -> None:
        """Handle one parameter that cannot be taken: a sentence, or the error.

        Raises:
            UnsupportedParameterError: the policy is "error".
        """
        if self.policy == "error":
            msg = f"{self.model} does not take {name}; leave it out, or set on_unsupported to warn"
            raise UnsupportedParameterError(msg, parameter=name, code="unsupported_parameter")
        _tell(report, f"{name} was not sent: {self.model} does not take it")

    def _decide(self, read: Read, report: list[str]) -> dict[str, Any]:
        """Give what has to change: parameter to new value, None to leave it out."""
        changes: dict[str, Any] = {}
        for name in self.refused:
            value = read(name)
            if value is None or name in _BY_LEVEL:
                continue
            changes[name] = None
            self._refuse(name, value, report)
            if name == "tools":
                changes |= {n: None for n in _WITH_TOOLS if read(n) is not None}
        for name, low, high in self.clamps:
            self._clamp(name, low, high, changes, read, report)
        if self.tool_choice and "tools" not in changes:
            self._choose(read, changes, report)
        if is_default(read("max_tokens")) and any(read(n) is not None for n in _OTHER_LIMITS):
            changes["max_tokens"] = None
        return changes

    def _refuse(self, name: str, value: Any, report: list[str]) -> None:
        if not is_default(value) and value not in _NEUTRAL.get(name, ()):
            self.refuse(name, report)

    def _clamp(
        self,
        name: str,
        low: float,
        high: float,
        changes: dict[str, Any],
        read: Read,
        report: list[str],
    ) -> None:
        value = read(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or name in changes or low <= value <= high:
            return
        changes[name] = min(max(value, low), high)
        if is_default(value):
            return
        if self.policy == "error":
            msg = f"{self.model} takes a {name} of {low:g} to {high:g}, not {value:g}"
            raise UnsupportedParameterError(msg, parameter=name, code="parameter_out_of_range")
        _tell(
            report,
            f"{name} {value:g} was sent as {changes[name]:g}: {self.model} takes {low:g} to {high:g}",
        )

    def _choose(self, read: Read, changes: dict[str, Any], report: list[str]) -> None:
        """Say a tool choice that the host has no word for in the ways that it has."""
        words = self.tool_choice or {}
        choice = read("tool_choice")
        kind = _kind_of(choice)
        if kind not in words:
            return
        if kind == "function" and (words[kind] or words.get("required", "required")):
            # One tool cannot be named: it is the only one offered, and one must be called.
            changes["tools"] = _only(read("tools"), choice)
            if words[kind] is None:
                changes["tool_choice"] = "required"
        elif words[kind] is None:
            changes["tool_choice"] = None
            if kind == "none":
                changes |= {n: None for n in ("tools", *_WITH_TOOLS) if read(n) is not None}
            elif kind != "auto":
                self.refuse("tool_choice", report)

    def _say_choice(self, body: dict[str, Any]) -> None:
        words = self.tool_choice or {}
        kind = _kind_of(body.get("tool_choice"))
        word = words.get(kind, _MISSING)
        if word is None:
            # A forced tool of our own, for structured output: there is no other to choose.
            word = words.get("required", "required") if kind == "function" else None
        if word is None:
            del body["tool_choice"]
        elif word is not _MISSING:
            body["tool_choice"] = word

    def _say_system(self, report: list[str]) -> None:
        if self.policy == "error":
            msg = f"{self.model} takes no system prompt; put it into the first message"
            raise UnsupportedParameterError(
                msg, parameter="system_prompt", code="unsupported_parameter"
            )
        _tell(report, f"the system prompt went into the first message: {self.model} takes none")

    def refuse_stream(self, report: list[str]) -> None:
        """Handle a stream where the model answers in one piece only.

        Raises:
            UnsupportedParameterError: the policy is "error".
        """
        if self.policy == "error":
            msg = f"{self.model} does not stream; ask it for a plain answer"
            raise UnsupportedParameterError(msg, parameter="stream", code="unsupported_parameter")
        _tell(report, f"the stream came in one piece: {self.model} does not stream")

    def _say_blind(self, report: list[str]) -> None:
        if self.policy == "error":
            msg = f"{self.model} does not read images; leave them out, or choose a model that does"
            raise UnsupportedParameterError(
                msg, parameter="messages", code="unsupported_content_part"
            )
        _tell(report, f"images were sent although {self.model} is not known to read them")

    def _say_marks(self, report: list[str]) -> None:
        _tell(report, f"cache_control was not sent: {self.model} does not take it")


def make_rules(
    row: Mapping[str, Any],
    model: str,
    info: ModelInfo | None = None,
    *,
    takes_cache_marks: bool = True,
) -> ParameterRules:
    """Join what a row and the catalog know of a model.

    A capability is looked up in the row's rule for the model, in the row's entry for it, in the
    catalog, and in what the row says of all its models; the first that knows counts.

    Args:
        row: the provider's.
        model: the provider's name for the model.
        info: the catalog's entry; None for none.
        takes_cache_marks: whether `cache_control` may be sent where the row does not say.
    """
    rule = find_rule(row, model) or {}
    whole = {**row, **rule}
    params: Mapping[str, Any] = whole.get("params") or {}

    def can(name: str) -> bool | None:
        return _capability(name, row, rule, model, info)

    refused = list(params.get("drop", ()))
    for capability, names in _NEEDED:
        if can(capability) is False:
            refused += names
    if (whole.get("reasoning") or {}).get("request") == "none":
        refused.append("reasoning_effort")
    clamps = tuple(
        (name, -inf if low is None else low, inf if high is None else high)
        for name, (low, high) in (params.get("clamp") or {}).items()
    )
    return ParameterRules(
        row=whole,
        model=model or "the provider",
        policy=whole.get("on_unsupported") or "warn",
        refused=tuple(dict.fromkeys(refused)),
        clamps=clamps,
        tool_choice=whole.get("tool_choice") or None,
        drops_cache_marks=not whole.get("cache_control", takes_cache_marks),
        is_blind=can("images") is False,
        takes_schemas=can("structured_output") is not False and "response_format" not in refused,
        takes_tools="tools" not in refused,
        takes_system=can("system") is not False,
        takes_stream=can("stream") is not False,
    )


def _capability(
    name: str,
    row: Mapping[str, Any],
    rule: Mapping[str, Any],
    model: str,
    info: ModelInfo | None,
) -> bool | None:
    own = next(
        (m for m in row.get("models") or () if isinstance(m, dict) and m.get("name") == model), {}
    )
    for source in (rule, own):
        known: bool | None = (source.get("capabilities") or {}).get(name)
        if known is not None:
            return known
    known = None if info is None else info.can(_CATALOG_WORDS.get(name, name))
    return (row.get("capabilities") or {}).get(name) if known is None else known


def _reader(request: LLMRequest) -> Read:
    def read(name: str) -> Any:
        return getattr(request, name) if name in _FIELDS else request.extra.get(name)

    return read


def _with_changes(request: LLMRequest, changes: Mapping[str, Any]) -> LLMRequest:
    extra = {n: v for n, v in request.extra.items() if n not in changes}
    extra |= {n: v for n, v in changes.items() if n not in _FIELDS and v is not None}
    known = {name: value for name, value in changes.items() if name in _FIELDS}
    return replace(request, **known, extra=extra)


def _has_images(messages: Any) -> bool:
    return any(
        part.get("type") in {"image_url", "input_image", "image"}
        for message in messages or ()
        if isinstance(content := message.get("content"), list)
        for part in content
        if isinstance(part, dict)
    )


def _kind_of(choice: Any) -> str:
    """Give the word for a tool choice in OpenAI's shape; "" for none and for every other shape."""
    if isinstance(choice, dict):
        return "function" if choice.get("type") == "function" else ""
    return choice if isinstance(choice, str) else ""


def _only(tools: Any, choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = (choice.get("function") or {}).get("name")
    return [t for t in tools or () if (t.get("function") or {}).get("name") == name]


def _tell(report: list[str], sentence: str) -> None:
    if sentence not in report:
        report.append(sentence)
