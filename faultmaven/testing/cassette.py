"""Record real traffic once, and play it back in tests: no key, no network, the same answers.

```python
async def test_summary():
    with use_cassette("tests/cassettes/summary.json"):
        response = await get_registry().get_provider("groq").generate("Sum up: …")
    assert "short" in response.content
```

The first run records, later ones play.  Streams keep their pieces and how long each was waited for.  No
header of a request is kept, and every secret that FaultMaven has loaded, or that looks like one, is taken
out of addresses and bodies.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.http import Reply, intercept
from faultmaven.testing.tape import Tape, Taped, kept_headers, make_request_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultmaven.infrastructure.llm.http import StreamReply, Transport

    Mode = Literal["once", "none", "all"]


@contextmanager
def use_cassette(path: str | Path, mode: Mode = "once", *, speed: float = 0.0) -> Iterator[Tape]:
    """Record what all providers of the process send and get, or play it back.

    Providers still need an address, a model and a key to be configured; for playing back any key does.
    Tokens that Google's, Microsoft's and IBM's services give to a provider that was built before are
    fetched past the cassette.

    Args:
        path: the file; JSON.
        mode: "once" records where there is no file yet, and plays otherwise; "none" only plays;
            "all" records anew.
        speed: how fast streams are played: 1 waits as long as it took, 2 half as long, 0 not at all.

    Raises:
        ConfigurationError: the file is missing (mode "none") or no cassette; for a request that was
            not recorded, with the code `not_recorded`.
    """
    deck = _Deck(Path(path), mode, speed)

    def wrap(transport: Transport) -> Transport:
        return transport if isinstance(transport, CassetteTransport) else deck.transport(transport)

    try:
        with intercept(wrap):
            yield deck.tape
    finally:
        deck.close()


class CassetteTransport:
    """A transport that records another's traffic, or plays it back; for a single provider.

    `use_cassette` does the same for all of them.  What was recorded is written by `close`.

    Args:
        inner: what sends for real; None where nothing is to be recorded.
        path: the file.
        mode: as for `use_cassette`.
        speed: as for `use_cassette`.

    Raises:
        ConfigurationError: as for `use_cassette`.
    """

    def __init__(
        self,
        inner: Transport | None,
        path: str | Path,
        mode: Mode = "once",
        *,
        speed: float = 0.0,
        deck: _Deck | None = None,
    ) -> None:
        self._inner = inner
        self._owns_deck = deck is None
        self._deck = deck or _Deck(Path(path), mode, speed)

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> Reply:
        """Get a whole answer; see `Transport.fetch`.

        Raises:
            ConfigurationError: the request was not recorded.
        """
        request = make_request_entry(method, url, body)
        if self._deck.plays:
            return self._deck.play_whole(request)
        reply = await self._sender().fetch(
            method, url, headers, body, timeout_s=timeout_s, deadline=deadline
        )
        self._deck.record(Taped(request, reply.status, kept_headers(reply.headers), reply.body))
        return reply

    async def open_stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout_s: float,
        deadline: float | None = None,
    ) -> StreamReply:
        """Get a streamed answer; see `Transport.open_stream`.

        Raises:
            ConfigurationError: the request was not recorded.
        """
        request = make_request_entry(method, url, body)
        if self._deck.plays:
            return self._deck.play_stream(request)
        reply = await self._sender().open_stream(
            method, url, headers, body, timeout_s=timeout_s, deadline=deadline
        )
        taped = Taped(request, reply.status, kept_headers(reply.headers))
        self._deck.record(taped)
        return _RecordedReply(reply, taped)

    async def close(self) -> None:
        """Write what was recorded, and close the inner transport; twice is fine."""
        if self._owns_deck:
            self._deck.save()
        if self._inner is not None:
            await self._inner.close()

    def _sender(self) -> Transport:
        if self._inner is None:
            msg = "this cassette has no transport to record from"
            raise ConfigurationError(msg, code="not_recorded")
        return self._inner


class _Deck:
    """A tape in use: what is recorded on it, or played from it; nothing once it is closed."""

    def __init__(self, path: Path, mode: Mode, speed: float) -> None:
        if mode not in ("once", "none", "all"):
            msg = f"a cassette's mode is once, none or all, not {mode!r}"
            raise ConfigurationError(msg, code="bad_mode")
        self.plays = mode == "none" or (mode == "once" and path.is_file())
        self.tape = Tape.load(path) if self.plays else Tape(path)
        self._speed = speed
        self._is_open = True

    def transport(self, inner: Transport) -> CassetteTransport:
        """Put a provider's transport behind this tape."""
        return CassetteTransport(inner, self.tape.path, deck=self)

    def record(self, taped: Taped) -> None:
        """Keep an exchange, unless the cassette is closed."""
        if self._is_open:
            self.tape.add(taped)

    def play_whole(self, request: dict[str, object]) -> Reply:
        """Give the next answer of a request, whole."""
        taped = self.tape.take(request)
        body = b"".join(data for _, data in taped.pieces) if taped.body is None else taped.body
        return Reply(taped.status, _headers(taped), body)

    def play_stream(self, request: dict[str, object]) -> _PlayedReply:
        """Give the next answer of a request, as it came."""
        return _PlayedReply(self.tape.take(request), self._speed)

    def save(self) -> None:
        """Write the file if something was to be recorded."""
        if not self.plays:
            self.tape.save()

    def close(self) -> None:
        """Write the file; from now on transports that are still around only pass through."""
        self.save()
        self._is_open = self.plays = False


class _RecordedReply:
    """A stream that is written down while it is read."""

    def __init__(self, inner: StreamReply, taped: Taped) -> None:
        self.status = inner.status
        self.headers: Mapping[str, str] = inner.headers
        self._inner = inner
        self._taped = taped
        self._last = time.perf_counter()

    async def read(self) -> bytes:
        data = await self._inner.read()
        self._note(data)
        return data

    def expect(self, seconds: float) -> None:
        self._inner.expect(seconds)

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        data = await self._inner.read_all(limit_bytes, timeout_s)
        self._note(data)
        return data

    async def release(self) -> None:
        await self._inner.release()

    async def close(self) -> None:
        await self._inner.close()

    def _note(self, data: bytes) -> None:
        now = time.perf_counter()
        if data:
            self._taped.pieces.append((round((now - self._last) * 1000), data))
        self._last = now


class _PlayedReply:
    """A stream from a tape."""

    def __init__(self, taped: Taped, speed: float) -> None:
        self.status = taped.status
        self.headers = _headers(taped)
        self._pieces = iter(taped.pieces if taped.body is None else [(0, taped.body)])
        self._speed = speed

    async def read(self) -> bytes:
        after_ms, data = next(self._pieces, (0, b""))
        if self._speed > 0 and after_ms:
            await asyncio.sleep(after_ms / 1000 / self._speed)
        return data

    def expect(self, seconds: float) -> None:
        """Have no window: what was recorded did come."""

    async def read_all(
        self, limit_bytes: int | None = None, timeout_s: float | None = None
    ) -> bytes:
        del timeout_s
        data = b"".join(piece for _, piece in self._pieces)
        return data if limit_bytes is None else data[:limit_bytes]

    async def release(self) -> None:
        """Have no connection."""

    async def close(self) -> None:
        """Have no connection."""


def _headers(taped: Taped) -> Mapping[str, str]:
    from multidict import CIMultiDict  # comes with aiohttp

    return CIMultiDict(taped.headers)
