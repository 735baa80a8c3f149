"""The file of a cassette: exchanges as readable JSON, without keys."""

from __future__ import annotations

import base64
import codecs
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.secret import REDACTED, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION: Final = 1
# Headers of an answer that change what a client does; no other is kept, and none of a request.
KEPT_HEADERS: Final = frozenset({
    "anthropic-request-id", "content-type", "request-id", "retry-after", "retry-after-ms",
    "x-amzn-errortype", "x-amzn-requestid", "x-request-id", "x-should-retry",
})  # fmt: skip
# Names without dashes and underscores, of members, form fields and query parameters.
_SECRET_NAMES: Final = frozenset({
    "accesstoken", "apikey", "assertion", "authorization", "clientassertion", "clientsecret",
    "idtoken", "password", "refreshtoken", "secret", "secretaccesskey", "sessiontoken", "xapikey",
    "xgoogapikey",
})  # fmt: skip
_SECRET_PARAMETERS: Final = _SECRET_NAMES | {
    "code", "key", "sig", "signature", "token", "xamzcredential", "xamzsecuritytoken",
    "xamzsignature",
}  # fmt: skip


@dataclass(slots=True)
class Taped:
    """One exchange.

    Attributes:
        request: `method`, `url`, and the body as `json`, `text` or `base64`.
        status: of the answer.
        headers: of the answer, lower case, those worth keeping.
        body: a whole answer's; None for a stream.
        pieces: a stream's, each with the milliseconds waited for it.
    """

    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes | None = None
    pieces: list[tuple[int, bytes]] = field(default_factory=list)


class Tape:
    """The exchanges of one file, each played once, in order.

    Args:
        path: the file.
        exchanges: what is on it.
    """

    def __init__(self, path: Path, exchanges: list[Taped] | None = None) -> None:
        self.path = path
        self.exchanges = exchanges or []
        self._left = list(self.exchanges)

    @classmethod
    def load(cls, path: Path) -> Tape:
        """Read a file.

        Raises:
            ConfigurationError: it is missing, or no cassette.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["version"] != VERSION:
                problem = f"is a cassette of version {data['version']}, not {VERSION}"
                raise _bad(path, problem)
            return cls(path, [_taped_from(entry) for entry in data["exchanges"]])
        except FileNotFoundError as exc:
            problem = "is not there; record it with mode='once'"
            raise _bad(path, problem) from exc
        except (KeyError, TypeError, ValueError) as exc:
            problem = f"is no cassette: {type(exc).__name__} {exc}"
            raise _bad(path, problem) from exc

    def save(self) -> None:
        """Write the file, whole or not at all; folders are made."""
        data = {"version": VERSION, "exchanges": [_to_json(taped) for taped in self.exchanges]}
        text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
        bare = redact(text)
        if bare != text and _is_json(bare):
            text = bare
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.write_text(text, "utf-8")
        draft.replace(self.path)

    def add(self, taped: Taped) -> None:
        """Put an exchange at the end; its pieces may come later."""
        self.exchanges.append(taped)

    def take(self, request: dict[str, Any]) -> Taped:
        """Give the next exchange of a request, which is then used up.

        Raises:
            ConfigurationError: there is none left.
        """
        wanted = _key(request)
        for i, taped in enumerate(self._left):
            if _key(taped.request) == wanted:
                return self._left.pop(i)
        method, place = wanted[:2]
        problem = f"has no exchange left for {method} {place}{self._nearest(request)}"
        raise _bad(self.path, problem)

    def _nearest(self, request: dict[str, Any]) -> str:
        wanted = _key(request)
        same = [t.request for t in self.exchanges if _key(t.request)[:2] == wanted[:2]]
        if not same:
            return "; nothing was recorded for this address"
        if any(_key(r) == wanted for r in same):
            return "; all that were recorded have been played"
        ours, theirs = request.get("json"), same[0].get("json")
        if not (isinstance(ours, dict) and isinstance(theirs, dict)):
            return "; the body is another"
        names = sorted(n for n in {*ours, *theirs} if ours.get(n) != theirs.get(n))
        return f"; the first recorded one differs in {', '.join(names)}"


def make_request_entry(method: str, url: str, body: bytes | None) -> dict[str, Any]:
    """Describe a request as it is kept and compared: no headers, nothing secret."""
    return {"method": method, "url": clean_url(url), **_body_to_json(body)}


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers of an answer that are kept, in lower case."""
    return {
        name.lower(): redact(value)
        for name, value in headers.items()
        if name.lower() in KEPT_HEADERS
    }


def clean_url(url: str) -> str:
    """Take the user's part and all secrets out of an address."""
    parts = urlsplit(url)
    query = [
        (name, REDACTED if _plain(name) in _SECRET_PARAMETERS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    host = parts.netloc.rpartition("@")[2]
    return redact(urlunsplit((parts.scheme, host, parts.path, urlencode(query), "")))


def clean(value: Any) -> Any:
    """Take secrets out of JSON data: what is called like one, what is one, what looks like one."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        redact(name): REDACTED
        if _plain(name) in _SECRET_NAMES and isinstance(item, str)
        else clean(item)
        for name, item in value.items()
    }


def _key(request: Mapping[str, Any]) -> tuple[str, str, str]:
    parts = urlsplit(request["url"])
    body = {name: request[name] for name in ("json", "text", "base64") if name in request}
    place = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return request["method"], place, json.dumps(body, sort_keys=True)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _to_json(taped: Taped) -> dict[str, Any]:
    response: dict[str, Any] = {"status": taped.status, "headers": taped.headers}
    if taped.body is not None:
        response |= _body_to_json(taped.body)
    else:
        response["pieces"] = list(_pieces_to_json(taped.pieces))
    return {"request": taped.request, "response": response}


def _taped_from(entry: Mapping[str, Any]) -> Taped:
    response = entry["response"]
    taped = Taped(entry["request"], response["status"], response["headers"])
    if "pieces" in response:
        taped.pieces = [(p["after_ms"], _body_from_json(p)) for p in response["pieces"]]
    else:
        taped.body = _body_from_json(response)
    return taped


def _body_to_json(body: bytes | None) -> dict[str, Any]:
    if body is None:
        return {}
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": _bare_base64(body)}
    try:
        return {"json": clean(json.loads(text))}
    except (ValueError, RecursionError):
        return {"text": redact(_clean_form(text))}


def _clean_form(text: str) -> str:
    """Hide the secrets of a form; any other text stays as it is."""
    if "=" not in text or any(character in text for character in "\n {<"):
        return text
    return "&".join(
        f"{name}{sign}{REDACTED}" if _plain(name) in _SECRET_PARAMETERS else pair
        for pair in text.split("&")
        for name, sign, _ in (pair.partition("="),)
    )


def _body_from_json(entry: Mapping[str, Any]) -> bytes:
    if "json" in entry:
        return json.dumps(entry["json"], ensure_ascii=False).encode("utf-8", "surrogatepass")
    if "text" in entry:
        text: str = entry["text"]
        return text.encode()
    return base64.b64decode(entry.get("base64", ""))


def _pieces_to_json(pieces: list[tuple[int, bytes]]) -> Iterator[dict[str, Any]]:
    texts = _texts_of([data for _, data in pieces])
    if texts is None:
        if _is_split_secret([data.decode("latin-1") for _, data in pieces]):
            pieces = [(sum(ms for ms, _ in pieces), b"".join(data for _, data in pieces))]
        for after_ms, data in pieces:
            yield {"after_ms": after_ms, "base64": _bare_base64(data)}
        return
    bare = [redact(text) for text in texts]
    if _is_split_secret(texts):
        # Cut between events instead.
        events = redact("".join(texts)).split("\n\n")
        bare = [f"{event}\n\n" for event in events[:-1]] + events[-1:]
    waits = [after_ms for after_ms, _ in pieces]
    for i, text in enumerate(bare):
        if text:
            yield {"after_ms": waits[i] if i < len(waits) else 0, "text": text}


def _is_split_secret(texts: list[str]) -> bool:
    return "".join(map(redact, texts)) != redact("".join(texts))


def _texts_of(pieces: list[bytes]) -> list[str] | None:
    """Decode pieces, each up to its last whole character; None where they are no text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        texts = [decoder.decode(piece) for piece in pieces]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return texts


def _bare_base64(data: bytes) -> str:
    bare = redact(data.decode("latin-1")).encode("latin-1")
    return base64.b64encode(bare).decode("ascii")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _bad(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(f"the cassette {path} {problem}", code="not_recorded")
