"""A dialect as data, the requests: a JSON template with the request's values in it.

`"$name"` stands for a value; a member or item whose value is not there is left out.  `{"$if": name,
"then": …, "else": …}`, `{"$first": […]}` and `{"$word": name, "words": {…}, "else": …}` choose; `"$$…"` is
text that begins with a dollar sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.wire import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

    Scope = Mapping[str, Any]

# What may stand behind a dollar sign, in each of the templates.
BODY_NAMES: Final = frozenset({
    "any_strict", "forced_tool", "max_tokens", "messages", "metadata", "model", "prompt",
    "reasoning_effort", "schema", "schema_name", "seed", "stop", "stream", "system", "temperature",
    "tool_choice", "tools", "top_p", "wants_json",
})  # fmt: skip
MESSAGE_NAMES: Final = frozenset({
    "content", "images", "name", "parts", "reasoning", "role", "text", "tool_call_id", "tool_calls",
    "tool_name",
})  # fmt: skip
PART_NAMES: Final = frozenset({"data", "file_name", "media_type", "object", "text", "url"})
TOOL_NAMES: Final = frozenset({"description", "function", "name", "parameters", "strict"})
CALL_NAMES: Final = frozenset({"arguments", "arguments_object", "function", "id", "name"})

# Parameters of a request, and the names that say them.
_SAID_BY: Final[dict[str, tuple[str, ...]]] = {
    "max_tokens": ("max_tokens",),
    "reasoning_effort": ("reasoning_effort",),
    "seed": ("seed",),
    "stop": ("stop",),
    "temperature": ("temperature",),
    "tool_choice": ("tool_choice", "forced_tool"),
    "tools": ("tools",),
    "top_p": ("top_p",),
}
_DETAIL: Final = "detail:"
_WITH_ATTACHMENTS: Final = frozenset({"content", "images", "parts"})
_PART_KINDS: Final = {"image_url": "image", "input_audio": "audio", "file": "file"}


class RequestTemplate:
    """A dialect's `request`, made ready.

    Args:
        data: valid by `schemas/dialect.schema.json`.

    Raises:
        ConfigurationError: a name in it is not known, or the conversation would get lost.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._body = data["body"]
        self._messages: Mapping[str, Any] = data.get("messages") or {}
        self._parts: Mapping[str, Any] = data.get("parts") or {}
        self._tool = data.get("tool", "$function")
        self._tool_call = data.get("tool_call", {"id": "$id", "function": "$function"})
        self._one_forced_tool = bool(data.get("one_forced_tool"))
        self._extra: Mapping[str, Any] = data.get("extra") or {}
        self._used = _check("body", self._body, BODY_NAMES)
        self._used_by_role = {
            role: _check(f"messages.{role}", template, MESSAGE_NAMES)
            for role, template in self._messages.items()
        }
        for kind, template in self._parts.items():
            _check(f"parts.{kind}", template, PART_NAMES)
        _check("tool", self._tool, TOOL_NAMES)
        _check("tool_call", self._tool_call, CALL_NAMES)
        if not self._used & {"messages", "prompt"}:
            problem = "body says neither $messages nor $prompt, so that nothing would be asked"
            raise _bad(problem)
        if not self._has_system:
            problem = "messages has no system, and the body no $system or $prompt"
            raise _bad(problem)

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Name the parameters that the template has no place for."""
        return tuple(name for name, says in _SAID_BY.items() if self._used.isdisjoint(says))

    @property
    def structure_level(self) -> str:
        """Give the best way that the template has to ask for structured output."""
        if "schema" in self._used:
            return "json_schema"
        return "json_object" if "wants_json" in self._used else "prompt"

    def render(self, request: LLMRequest, model: str) -> dict[str, Any]:
        """Write a request as a body.

        Raises:
            UnsupportedParameterError: a message holds a part that the template has no place for.
        """
        body: dict[str, Any] = _fill(self._body, self._scope(request, model)) or {}
        fields = frozenset(self._extra.get("fields") or ())
        return content.merge_extra(body, request.extra, self._extra.get("into", ""), fields)

    @property
    def _has_system(self) -> bool:
        return "system" in self._messages or not self._used.isdisjoint({"system", "prompt"})

    def _scope(self, request: LLMRequest, model: str) -> dict[str, Any]:
        forced = content.forced_tool(request)
        functions = content.functions_of(request)
        choice: Any = "function" if forced is not None else request.tool_choice
        if forced is not None and self._one_forced_tool:
            functions = [f for f in functions if f.get("name") == forced]
            choice = "required"
        return {
            "any_strict": any(f.get("strict") for f in functions) or None,
            "forced_tool": forced,
            "max_tokens": request.max_tokens,
            "messages": list(self._turns(request)) if "messages" in self._used else None,
            "metadata": request.metadata,
            "model": model,
            "prompt": _prompt(request),
            "reasoning_effort": request.reasoning_effort,
            "schema": content.wanted_schema(request) or None,
            "schema_name": content.schema_name(request),
            "seed": request.seed,
            "stop": content.stop_list(request) or None,
            "stream": request.stream,
            "system": "\n\n".join(content.split_system(request)[0]) or None,
            "temperature": request.temperature,
            "tool_choice": choice,
            "tools": [_fill(self._tool, _tool_scope(f)) for f in functions] or None,
            "top_p": request.top_p,
            "wants_json": content.wants_json(request) or None,
        }

    def _turns(self, request: LLMRequest) -> Iterator[Any]:
        names = content.tool_names_by_id(request.messages)
        if request.system_prompt and "system" in self._messages:
            yield self._turn("system", {"role": "system", "content": request.system_prompt}, names)
        for message in request.messages:
            role = "system" if message.role in content.SYSTEM_ROLES else message.role
            if role in self._messages:
                yield self._turn(role, message, names)
            elif role != "system":
                what = f"a message of the role {role}"
                raise content.refuse_part(what, "This provider", "Its dialect has no such role.")

    def _turn(self, role: str, message: Mapping[str, Any], names: Mapping[str, str]) -> Any:
        used = self._used_by_role[role]
        value = message.get("content")
        attachments = [p for p in content.parts_of(value) if not content.is_text(p)]
        if attachments and used.isdisjoint(_WITH_ATTACHMENTS):
            kind = content.attachment_of(attachments[0]).kind
            raise content.refuse_part(kind, "This provider", f"Send the {role} as text.")
        call_id = str(message.get("tool_call_id") or "")
        calls = message.get("tool_calls") or ()
        scope: dict[str, Any] = {
            "content": value,
            "images": [_inline_image(p) for p in attachments] or None
            if "images" in used
            else None,
            "name": message.get("name"),
            "parts": self._part_list(value) if "parts" in used else None,
            "reasoning": message.get("reasoning") or None,
            "role": role,
            "text": content.text_of(value),
            "tool_call_id": call_id or None,
            "tool_calls": [_fill(self._tool_call, _call_scope(c)) for c in calls] or None,
            "tool_name": message.get("name") or names.get(call_id, call_id),
        }
        for detail in message.get("reasoning_details") or ():
            scope[f"{_DETAIL}{detail.get('format')}"] = detail.get("text")
        return _fill(self._messages[role], scope)

    def _part_list(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return [self._part(part) for part in content.parts_of(value)]

    def _part(self, part: dict[str, Any]) -> Any:
        kind = "text" if content.is_text(part) else _PART_KINDS.get(str(part.get("type")), "")
        if kind not in self._parts:
            kind = content.attachment_of(part).kind
            raise content.refuse_part(kind, "This provider", "Send text.")
        if kind == "text":
            return _fill(self._parts[kind], {"text": part.get("text") or ""})
        found = content.attachment_of(part)
        own = part.get(str(part["type"]))
        scope = {
            "data": found.inline.data if found.inline else None,
            "file_name": found.name,
            "media_type": content.guess_media_type(found),
            "object": own if isinstance(own, dict) else {"url": own},
            "url": own.get("url") if isinstance(own, dict) else own,
        }
        return _fill(self._parts[kind], scope)


def _prompt(request: LLMRequest) -> str:
    system, turns = content.split_system(request)
    return "\n\n".join([*system, *(content.text_of(t.get("content")) for t in turns)])


def _tool_scope(function: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(TOOL_NAMES), **function, "function": function}


def _call_scope(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "arguments": function.get("arguments"),
        "arguments_object": content.arguments_object(function.get("arguments")),
        "function": function,
        "id": call.get("id"),
        "name": function.get("name"),
    }


def _inline_image(part: dict[str, Any]) -> str:
    attachment = content.attachment_of(part)
    inline = attachment.inline
    if inline is None or not inline.media_type.startswith("image/"):
        what = attachment.kind if inline else f"address of a {attachment.kind}"
        raise content.refuse_part(what, "This provider", "Send images as data: URIs.")
    return inline.data


def _fill(template: Any, scope: Scope) -> Any:
    """Give a template with the values in; None for what is not there."""
    if isinstance(template, str):
        return _value(template, scope)
    if isinstance(template, list):
        return [v for item in template if (v := _fill(item, scope)) is not None]
    if not isinstance(template, dict):
        return template
    for operator, choose in _OPERATORS.items():
        if operator in template:
            return _fill(choose(template, scope), scope)
    return {k: v for k, item in template.items() if (v := _fill(item, scope)) is not None}


def _value(text: str, scope: Scope) -> Any:
    if not text.startswith("$"):
        return text
    return text[1:] if text.startswith("$$") else scope.get(text[1:])


def _if(template: Mapping[str, Any], scope: Scope) -> Any:
    return template.get("then" if scope.get(template["$if"]) else "else")


def _first(template: Mapping[str, Any], scope: Scope) -> Any:
    return next((t for t in template["$first"] if _fill(t, scope) is not None), None)


def _word(template: Mapping[str, Any], scope: Scope) -> Any:
    value = scope.get(template["$word"])
    if value is None:
        return template.get("absent")
    word = str(value).lower() if isinstance(value, bool) else str(value)
    return template["words"][word] if word in template["words"] else template.get("else")


_OPERATORS: Final[dict[str, Callable[[Mapping[str, Any], Scope], Any]]] = {
    "$if": _if,
    "$first": _first,
    "$word": _word,
}
_MEMBERS: Final = {
    "$if": {"$if", "then", "else"},
    "$first": {"$first"},
    "$word": {"$word", "words", "else", "absent"},
}


def _check(where: str, template: Any, known: frozenset[str]) -> frozenset[str]:
    """Give the names that a template uses.

    Raises:
        ConfigurationError: one is not known, or an operator has a member that it does not know.
    """
    used: set[str] = set()
    for name in _names_in(where, template):
        if name not in known and not (known is MESSAGE_NAMES and name.startswith(_DETAIL)):
            problem = f"{where}: there is no ${name}; known are {', '.join(sorted(known))}"
            raise _bad(problem)
        used.add(name)
    return frozenset(used)


def _names_in(where: str, template: Any) -> Iterator[str]:
    if isinstance(template, str):
        if template.startswith("$") and not template.startswith("$$"):
            yield template[1:]
    elif isinstance(template, list):
        for item in template:
            yield from _names_in(where, item)
    elif isinstance(template, dict):
        yield from _names_in_object(where, template)


def _names_in_object(where: str, template: Mapping[str, Any]) -> Iterator[str]:
    operator = next((key for key in template if key.startswith("$")), None)
    if operator is None:
        for item in template.values():
            yield from _names_in(where, item)
        return
    wrong = template.keys() - _MEMBERS.get(operator, set())
    if wrong or (operator == "$word" and not isinstance(template.get("words"), dict)):
        members = ", ".join(sorted(_MEMBERS.get(operator, {"nothing"})))
        problem = f"{where}: {operator} takes {members}"
        raise _bad(problem)
    if operator != "$first":
        yield str(template[operator]).removeprefix("$")
    parts = [v for k, v in template.items() if k not in (operator, "words")]
    parts += template["$first"] if operator == "$first" else ()
    parts += (template.get("words") or {}).values()
    for part in parts:
        yield from _names_in(where, part)


def _bad(problem: str) -> ConfigurationError:
    msg = f"dialect.request.{problem}"
    return ConfigurationError(msg, code="bad_dialect")
