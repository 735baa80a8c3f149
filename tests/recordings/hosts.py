"""Every recorded provider at once, on one port: a request names its recording by its model."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.recordings.replay import body_of, head_of
from tests.recordings.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_MODEL = re.compile(rb"recording-(\d+)-model")


def model_of(place: int) -> str:
    """Name the model that answers with the recording in this place of the list."""
    return f"recording-{place}-model"


@asynccontextmanager
async def hosting(
    exchanges: Sequence, journal: dict[str, bytes] | None = None
) -> AsyncIterator[str]:
    """Serve recordings, each for its model; gives scheme, host and port.

    Args:
        exchanges: the recordings.
        journal: gets the last request of each model, head and body.
    """
    answers = [_answer_of(exchange) for exchange in exchanges]

    def answer(asked: bytes) -> list[bytes]:
        model = _MODEL.search(asked)
        if journal is not None:
            journal[model[0].decode()] = asked
        return [answers[int(model[1])]]

    async with serving(answer) as origin:
        yield origin


def _answer_of(exchange) -> bytes:
    unknown = 400 if exchange["kind"] == "error" else 200
    head, body = head_of(exchange, exchange["response"]["status"] or unknown), body_of(exchange)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + chunk + b"0\r\n\r\n"
