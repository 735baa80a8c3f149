"""Streams that are copied while they are written, where contents are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from faultmaven.gateway.answer import Answer, StreamedAnswer
from faultmaven.infrastructure.llm.ledger import MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from faultmaven.gateway.record import Record


class CopiedAnswer(StreamedAnswer):
    """Writes a stream to a client, and its first part to the record of the call.

    Args:
        record: gets the copy.
        request: whom it answers.
        answer: what the server is told of it.
        fields: header lines, each ended by CR LF.
    """

    __slots__ = ("_copy",)

    def __init__(self, record: Record, request: BaseRequest, answer: Answer, fields: str) -> None:
        super().__init__(request, answer, fields)
        record.answer = self._copy = bytearray()

    @override
    def write(self, data: bytes, *, last: bool = False) -> None:
        """Copy bytes as long as there is room, and write them; see `StreamedAnswer.write`."""
        self._copy += data[: MAX_CONTENT_BYTES - len(self._copy)]
        super().write(data, last=last)
