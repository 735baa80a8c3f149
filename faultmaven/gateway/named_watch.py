"""Looks at relayed streams whose events have names: `event: x` and one data line."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from faultmaven.gateway.watch import StreamWatch
from faultmaven.infrastructure.llm import codec


class NamedWatch(StreamWatch):
    """A `StreamWatch` for APIs that write `event: x`, then `data: {…}`, and nothing else."""

    # What begins the events that most of a stream is made of.
    _usual: ClassVar[bytes]

    def _read_block(self, block: bytes) -> bytes | None:
        joined, count = self._joined_usual(block) or _joined(block)
        if not count:
            return None
        packets = codec.loads(b"[%b]" % joined)
        if len(packets) != count or not self._note(packets):
            return None
        self.events += count
        return block

    def _joined_usual(self, block: bytes) -> tuple[bytes, int] | None:
        """Give the data of events of the usual name, a comma between them; None where others are."""
        usual = self._usual
        if not block.startswith(usual):
            return None
        joined = block[len(usual) : -2].replace(b"\n\n" + usual, b",")
        return None if b"\n" in joined else (joined, block.count(usual))

    @abstractmethod
    def _note(self, packets: list[dict[str, Any]]) -> bool:
        """Note what ordinary events say; False, with nothing noted, for what is not ordinary."""


def _joined(block: bytes) -> tuple[bytes, int]:
    """Give the data of any events, a comma between them; 0 events where one is unusual."""
    datas = []
    for event in block[:-2].split(b"\n\n"):
        place = event.find(b"\ndata: ")
        if place < 0 or not event.startswith(b"event: ") or event.find(b"\n", place + 1) > 0:
            return b"", 0
        datas.append(event[place + 7 :])
    return b",".join(datas), len(datas)
