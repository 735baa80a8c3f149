"""Small pieces of the canonical messages that several dialects take apart or put together.

Canonical messages are OpenAI-shaped: content is a string, None or a list of parts, a tool call's
arguments are JSON text, an inline file is a `data:` URI.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.errors import InvalidRequestError, UnsupportedParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultmaven.infrastructure.llm.types import LLMRequest

SYSTEM_ROLES = frozenset({"system", "developer"})
INVALID_ARGUMENTS = "_invalid_json"

_INVENTED_ID = re.compile(r"call_\d+_[0-9a-f]{12}")
_AUDIO_MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


class InlineData(NamedTuple):
    """A file that travels inside the message: its media type and its bytes in base64."""

    media_type: str
    data: str


class Attachment(NamedTuple):
    """A part that is not text: where it is (`url`) or what it is (`inline`), and its name.

    Exactly one of `url`, `inline` and `file_id` is set.
    """

    kind: str
    inline: InlineData | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None


def parse_data_uri(url: str) -> InlineData | None:
    """Read a `data:` URI; None for any other kind of address.

    Raises:
        InvalidRequestError: it begins like a data URI and is none.
    """
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        msg = "A data: URI has no comma before its data; write data:image/png;base64,…"
        raise InvalidRequestError(msg, code="invalid_data_uri")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode("ascii")
    return InlineData(media_type or "text/plain", data)


def parts_of(content: object) -> list[dict[str, Any]]:
    """Give content as a list of parts, whatever form it has; no content is an empty list."""
    if content is None:
        return []
    if isinstance(content, list):
        return [{"type": "text", "text": p} if isinstance(p, str) else p for p in content]
    return [{"type": "text", "text": str(content)}] if content != "" else []


def image_part(media_type: str, encoded: str) -> dict[str, Any]:
    """Make the OpenAI-shaped part of data in base64."""
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{encoded}"}}


def text_of(content: object) -> str:
    """Join the text of content with nothing between; other parts are left out."""
    if isinstance(content, str):
        return content
    return "".join(str(p.get("text") or "") for p in parts_of(content) if is_text(p))


def is_text(part: Mapping[str, Any]) -> bool:
    """Tell a text part, in the words of either OpenAI API, from the others."""
    return part.get("type") in {"text", "input_text", "output_text"}


def attachment_of(part: Mapping[str, Any]) -> Attachment:
    """Read a part that is not text: `image_url`, `input_audio` or `file`.

    Raises:
        InvalidRequestError: the part is of no kind that canonical messages have.
    """
    kind = part.get("type")
    body = part.get(str(kind))
    if kind == "image_url":
        return _from_address("image", body.get("url") if isinstance(body, dict) else body)
    if kind == "input_audio" and isinstance(body, dict):
        form = str(body.get("format") or "wav")
        media_type = _AUDIO_MEDIA_TYPES.get(form, f"audio/{form}")
        return Attachment("audio", inline=InlineData(media_type, str(body.get("data") or "")))
    if kind == "file" and isinstance(body, dict):
        name = body.get("filename")
        if file_id := body.get("file_id"):
            return Attachment("file", file_id=str(file_id), name=name)
        return _from_address("file", body.get("file_data") or body.get("file_url"))._replace(
            name=name
        )
    msg = f"A message part has the type {kind!r}; text, image_url, input_audio and file are known."
    raise InvalidRequestError(msg, code="unknown_content_part")


def picture_of(part: Mapping[str, Any]) -> Attachment | None:
    """Read what a model has made, one of `LLMResponse.media`; None for sound in OpenAI's shape.

    What Gemini sends inline is an image here, whatever its media type.
    """
    if part.get("type") != "image_url":
        return None
    try:
        return attachment_of(part)
    except InvalidRequestError:
        return None


def _from_address(kind: str, address: object) -> Attachment:
    if not isinstance(address, str) or not address:
        msg = f"A part of the type {kind!r} has neither an address nor data."
        raise InvalidRequestError(msg, code="empty_content_part")
    inline = parse_data_uri(address)
    if inline is not None:
        return Attachment(kind, inline=inline)
    return Attachment(kind, url=address)


def guess_media_type(attachment: Attachment) -> str:
    """Give an attachment's media type, by its name or address where nothing says it."""
    if attachment.inline is not None:
        return attachment.inline.media_type
    place = attachment.name or attachment.url or attachment.file_id or ""
    return mimetypes.guess_type(place)[0] or "application/octet-stream"


def refuse_part(what: str, dialect: str, remedy: str) -> UnsupportedParameterError:
    """Build the error for a part that a dialect has no place for."""
    return UnsupportedParameterError(
        f"{dialect} cannot take this part of a message: {what}. {remedy}",
        code="unsupported_content_part",
        parameter="messages",
    )


def arguments_text(value: object) -> str:
    """Give a tool call's arguments as text: text stays verbatim, data becomes JSON, None `""`."""
    if value is None:
        return ""
    return value if isinstance(value, str) else codec.dumps(value).decode("utf-8")


def arguments_object(text: object) -> dict[str, Any]:
    """Give a tool call's arguments as an object, for dialects that take nothing else.

    Text that is no JSON object, as a model cut short leaves it, goes along under one key so that the
    model sees what it wrote.
    """
    if isinstance(text, dict):
        return text
    if text is None or not str(text).strip():
        return {}
    try:
        value = codec.loads(str(text))
    except ValueError:
        return {INVALID_ARGUMENTS: text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {INVALID_ARGUMENTS: text}


def result_object(content: object) -> dict[str, Any]:
    """Give a tool's result as an object: a JSON object as it is, anything else under `output`."""
    text = text_of(content)
    try:
        value = codec.loads(text)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {"output": value}


def make_call_id(index: int, *seeds: object) -> str:
    """Invent an id for a call that came without one.

    The same seeds give the same id, so that a stream read in any pieces reads the same; a response's
    id or time among them keeps the ids of different turns apart.
    """
    digest = hashlib.blake2s(
        "\x1f".join(map(str, seeds)).encode("utf-8", "replace"), digest_size=6
    )
    return f"call_{index}_{digest.hexdigest()}"


def is_invented_id(call_id: str) -> bool:
    """Tell an id of `make_call_id` from one that a provider or caller gave; `""` counts as invented."""
    return not call_id or _INVENTED_ID.fullmatch(call_id) is not None


def tool_names_by_id(messages: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Map the ids of all calls in a conversation to the names of their tools."""
    return {
        str(call.get("id")): str((call.get("function") or {}).get("name", ""))
        for message in messages
        for call in message.get("tool_calls") or ()
    }


def split_system(request: LLMRequest) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Part a request's system texts, `system_prompt` first, from the turns that follow them.

    For dialects that keep instructions apart from the conversation.
    """
    system = [request.system_prompt] if request.system_prompt else []
    turns: list[Mapping[str, Any]] = []
    for message in request.messages:
        if message.get("role") in SYSTEM_ROLES:
            system.append(text_of(message.get("content")))
        else:
            turns.append(message)
    return [text for text in system if text], turns


def wanted_schema(request: LLMRequest) -> dict[str, Any] | None:
    """Give the JSON Schema that the answer must match, from either of the two fields."""
    if request.output_schema is not None:
        return request.output_schema
    schema = (request.response_format or {}).get("json_schema")
    if isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        return dict(schema["schema"])
    return None


def wants_json(request: LLMRequest) -> bool:
    """Tell whether the answer must be JSON, of whatever shape."""
    kind = (request.response_format or {}).get("type")
    return request.output_schema is not None or kind in {"json_object", "json_schema"}


def schema_name(request: LLMRequest) -> str:
    """Name the wanted schema as the caller did, or `answer`."""
    named = (request.response_format or {}).get("json_schema")
    return str(named.get("name") or "answer") if isinstance(named, dict) else "answer"


def stop_list(request: LLMRequest) -> list[str]:
    """Give the stop sequences as a list; `""` and None are none."""
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    return [sequence for sequence in stop if sequence]


def forced_tool(request: LLMRequest) -> str | None:
    """Name the one tool that the model has to call, None where it is free to choose."""
    choice = request.tool_choice
    if isinstance(choice, dict):
        function = choice.get("function")
        return str(function.get("name")) if isinstance(function, dict) else choice.get("name")
    return None


def functions_of(request: LLMRequest) -> list[dict[str, Any]]:
    """Give the function of each tool: `{name, description?, parameters?, strict?}`.

    Raises:
        UnsupportedParameterError: a tool is of another type than `function`.
    """
    functions = []
    for tool in request.tools or ():
        function = tool.get("function")
        if not isinstance(function, dict):
            msg = f"A tool of the type {tool.get('type')!r} is not a function; pass it as the provider's own field."
            raise UnsupportedParameterError(msg, code="unsupported_tool", parameter="tools")
        functions.append(function)
    return functions


def merge_extra(
    body: dict[str, Any],
    extra: Mapping[str, Any],
    inner: str = "",
    inner_fields: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Put the caller's own fields into a body: objects are merged, anything else replaces.

    Fields named in `inner_fields` go into the object `inner`, where a dialect keeps its options.
    """
    for name, value in extra.items():
        target = body
        if name in inner_fields:
            target = body.setdefault(inner, {})
        present = target.get(name)
        if isinstance(present, dict) and isinstance(value, dict):
            target[name] = {**present, **value}
        else:
            target[name] = value
    return body


def without_none(**fields: Any) -> dict[str, Any]:
    """Keep the fields that are set."""
    return {name: value for name, value in fields.items() if value is not None}
