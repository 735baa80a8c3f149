"""A line of the log for each call, many written at a time, and never waited for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from faultmaven.infrastructure.llm import codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultmaven.gateway.record import Record

# Lines gather for so long and are written together.
GATHER_S: Final = 0.05
# Beyond these the newest are left out: whoever reads the log has stopped.
MAX_WAITING: Final = 10_000
_STDERR: Final = 2


class AccessLines(logging.Handler):
    """Writes a line for each call to the standard error.

    As a handler of the logger `faultmaven.gateway.access` it takes the way of other records out of the
    way of calls, which costs ten times what a line does.  A pipe that nobody reads holds no call up:
    lines wait, then are left out, and their number is said when the pipe is read again.

    Args:
        prefix: what each line begins with.
        write: takes bytes and gives how many of them it took; `write_some` by default.
    """

    def __init__(self, prefix: str = "", write: Callable[[bytes], int] | None = None) -> None:
        super().__init__()
        self._prefix = prefix
        self._write = write or write_some
        self._waiting: list[str] = []
        self._rest = b""
        self._left_out = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, record: Record) -> None:
        """Take a call; called in the event loop."""
        if len(self._waiting) >= MAX_WAITING:
            self._left_out += 1
            return
        self._waiting.append(f"{self._prefix}{line_of(record)}\n")
        if self._timer is None:
            self._start_timer()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._waiting.append(f"{self._prefix}{record.getMessage()}\n")
        self.flush()

    @override
    def flush(self) -> None:
        """Write what has gathered, as far as it is taken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data = self._rest or self._gathered()
        while data:
            try:
                taken = self._write(data)
            except (OSError, ValueError):
                taken = len(data)  # nobody reads the standard error any more: calls go on
            self._rest = data[taken:]
            if self._rest:
                self._start_timer()
                return
            data = self._gathered()

    def _gathered(self) -> bytes:
        lines, self._waiting = self._waiting, []
        if lines and self._left_out:
            told = codec.dumps({"event": "lines_left_out", "count": self._left_out}).decode()
            lines.append(f"{self._prefix}{told}\n")
            self._left_out = 0
        return "".join(lines).encode("utf-8", "replace")

    def _start_timer(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the process ends: there is no later
        self._timer = loop.call_later(GATHER_S, self.flush)


def write_some(data: bytes, descriptor: int = _STDERR) -> int:
    """Write what is taken without waiting, to the standard error; give how many bytes that were.

    Raises:
        OSError: it is closed.
    """
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    taken = 0
    while taken < len(data) and ready.poll(0):
        taken += os.write(descriptor, data[taken : taken + select.PIPE_BUF])
    return taken


def line_of(record: Record) -> str:
    """Say a call in one line of JSON, in ASCII, so that nothing in it acts on who reads it."""
    usage = record.usage
    line: dict[str, Any] = {
        "time": _instant(record.began_ms),
        "level": "info",
        "event": "request",
        "request_id": record.request_id,
        "front": record.front,
        "caller": record.caller,
        "provider": record.provider,
        "model": record.model,
        "rule": record.rule,
        "status": record.status,
        "outcome": record.outcome,
        "code": record.code,
        "attempts": record.attempts,
        "streamed": record.streamed,
        "duration_ms": round(record.duration_s * 1000),
        "first_ms": None if record.first_s is None else round(record.first_s * 1000),
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "usage_source": record.usage_source,
        "cost_usd": record.cost_usd,
    }
    text = codec.dumps(line).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return json.dumps(line, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def _instant(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
