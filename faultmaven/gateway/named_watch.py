"""Looks at relayed streams whose events have names: `event: x` and one data line."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from faultmaven.gateway.watch import StreamWatch
from faultmaven.infrastructure.llm import codec


class NamedWatch(StreamWatch):
    """A `StreamWatch` for APIs that write `event: x`, then `data: {…}`, and nothing else."""

    def _read_block(self, block: bytes) -> bytes | None:
        datas = []
        for event in block[:-2].split(b"\n\n"):
            place = event.find(b"\ndata: ")
            if place < 0 or not event.startswith(b"event: ") or event.find(b"\n", place + 1) > 0:
                return None
            datas.append(event[place + 7 :])
        packets = codec.loads(b"[%b]" % b",".join(datas))
        if len(packets) != len(datas) or not self._note(packets):
            return None
        self.events += len(packets)
        return block

    @abstractmethod
    def _note(self, packets: list[dict[str, Any]]) -> bool:
        """Note what ordinary events say; False, with nothing noted, for what is not ordinary."""
