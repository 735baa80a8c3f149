"""Secrets: a value that does not show itself, and the one redactor for text that leaves the process.

Every key that is loaded becomes a `Secret`, which registers its value here.  From then on `redact`
removes that value, its URL-encoded and its base64 forms from log records, error bodies and the ledger,
together with anything that merely looks like a key.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import re
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import override
else:

    def override(method):
        """Stand in for `typing.override`, which Python 3.11 lacks."""
        return method


MASK: Final = "***"
REDACTED: Final = "[redacted]"
MIN_SECRET_CHARS: Final = 8
REDACTED_LOGGERS: Final = (
    "faultmaven",
    "aiohttp.access",
    "aiohttp.client",
    "aiohttp.server",
    "asyncio",
)

# Forms of every registered value, the longest first, so that no part of one is left over.
_needles: tuple[str, ...] = ()

_LABELS: Final = "api[-_]?key|apiKey|API[-_]?KEY|Api-Key|access_token|client_secret|password"
_VALUE: Final = r"[^\s\"'&,;}<>]"
# One pattern a family, each beginning with letters that the regular expression engine searches for by
# itself and failing within a bounded number of characters: linear, and quick, whatever the text is.
_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"((?:Bearer|bearer|BEARER|Basic|basic|BASIC)[ \t]{{1,8}}){_VALUE}{{4,}}",
        rf"((?:key|Key|KEY|token|TOKEN|secret|SECRET|password|PASSWORD)=){_VALUE}{{4,}}",
        rf"((?:{_LABELS})[\"']?[ ]{{0,2}}:[ ]{{0,2}}[\"']?){_VALUE}{{8,}}",
        r"()\b(?:sk|rk|pk|gsk|xai|pplx|nvapi|csk|hf|r8)[-_][A-Za-z0-9_*-]{8,}",
        r"()AIza[A-Za-z0-9_-]{16,}",
    )
)


class Secret(str):
    """A string that shows `***` wherever it is printed, formatted, pickled or written as JSON.

    Its text *is* the mask, so that no encoder, f-string or concatenation can get at the value by
    accident; `reveal()` is the only way.  An empty secret is empty, and so false.  A copy is the same
    object; a pickle carries the mask and not the value.
    """

    __slots__ = ("_value",)
    _value: str

    def __new__(cls, value: str | Secret) -> Self:
        """Wrap a value and register it with the redactor."""
        text = value.reveal() if isinstance(value, Secret) else value
        secret = super().__new__(cls, MASK if text else "")
        secret._value = text
        remember_secret(text)
        return secret

    def reveal(self) -> str:
        """Give the value itself, for the header that needs it and nothing else."""
        return self._value

    @override
    def __repr__(self) -> str:
        return f"Secret('{MASK}')" if self._value else "Secret('')"

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return False
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    @override
    def __ne__(self, other: object) -> bool:
        # str has its own, which would compare the masks.
        return not self == other

    @override
    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    @override
    def __reduce_ex__(self, protocol: object) -> tuple[type[Secret], tuple[str]]:
        return Secret, (MASK if self._value else "",)


def remember_secret(value: str) -> None:
    """Register an exact value that `redact` removes from now on, for the life of the process.

    Values of fewer than 8 characters are not registered: they would take ordinary words with them.
    """
    global _needles  # noqa: PLW0603  # one registry a process is the point of it
    if len(value) < MIN_SECRET_CHARS or value in _needles:
        return
    _needles = tuple(sorted({*_needles, *_forms(value)}, key=len, reverse=True))


def redact(text: str) -> str:
    """Replace registered secrets, and what looks like a key, by `[redacted]`; linear in the text."""
    for needle in _needles:
        if needle in text:
            text = text.replace(needle, REDACTED)
    for pattern in _PATTERNS:
        text = pattern.sub(_labelled, text)
    return text


def one_line(text: str) -> str:
    """Escape, as JSON does, what would end a line, move a cursor or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


class RedactingFilter(logging.Filter):
    """Redacts a record in place, and keeps its message to one line: message, arguments, extra fields, traceback and stack."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its secrets."""
        _redact_record(record)
        for name, value in record.__dict__.items():
            if isinstance(value, str) and name not in _STANDARD_FIELDS:
                record.__dict__[name] = redact(value)
        return True


def show_log(level: str) -> None:
    """Let our log show records from a level on, secrets removed.

    They go to standard error, unless the program has handlers of its own for them; a level that it
    has set stays.
    """
    logger = logging.getLogger("faultmaven")
    if logger.level != logging.NOTSET:
        return
    logger.setLevel(level.upper())
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        handler.addFilter(RedactingFilter())
        logger.addHandler(handler)


def install_log_redaction() -> None:
    """Redact all that `faultmaven`, `asyncio` and aiohttp's loggers write; twice is once.

    A filter on a logger does not see what its children log, so records are also redacted where they are
    made, by a record factory that leaves every other library's records alone.
    """
    for name in REDACTED_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, RedactingFilter) for present in logger.filters):
            logger.addFilter(RedactingFilter())
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(factory))


class _RedactingFactory:
    """Makes log records, with those of the named loggers and their children redacted."""

    def __init__(self, make_record: Callable[..., logging.LogRecord]) -> None:
        self._make_record = make_record

    def __call__(self, name: str, *details: object, **more: object) -> logging.LogRecord:
        record = self._make_record(name, *details, **more)
        # `logging.makeLogRecord` names no logger.
        if (name or "").startswith(_FACTORY_PREFIXES):
            _redact_record(record)
        return record


_FACTORY_PREFIXES: Final = ("faultmaven.", *REDACTED_LOGGERS)
_STANDARD_FIELDS: Final = frozenset(
    {*logging.makeLogRecord({}).__dict__, "message", "asctime", "exc_text", "stack_info"}
)
_FORMATTER: Final = logging.Formatter()


def _labelled(found: re.Match[str]) -> str:
    # A template would be parsed for each text, which takes longer than to search it.
    return f"{found[1]}{REDACTED}"


def _redact_record(record: logging.LogRecord) -> None:
    message = _message_of(record)
    redacted = one_line(redact(message))
    if redacted != message or not record.args:
        record.msg, record.args = redacted, ()
    if record.exc_info and record.exc_info[0] is not None:
        text = _FORMATTER.formatException(record.exc_info)
        record.exc_text = redact(text)
        if record.exc_text != text:
            # A handler that formats the exception by itself would bring the secret back.
            record.exc_info = None
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # The arguments do not fit; logging would print both, unredacted, to stderr.
        record.msg, record.args = f"{record.msg} {record.args!r}", ()
        return str(record.msg)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    data = value.encode("utf-8", "surrogatepass")
    for offset in range(3):
        # Base64 of the value behind any prefix, "user:" of Basic for example: three alignments, without
        # the characters at either end that carry bits of the neighbours.
        skipped = (offset * 8 + 5) // 6
        kept = (offset + len(data)) * 8 // 6
        encoded = base64.b64encode(b"\0" * offset + data)[skipped:kept].decode()
        if len(encoded) >= MIN_SECRET_CHARS:
            yield encoded
            yield encoded.replace("+", "-").replace("/", "_")
