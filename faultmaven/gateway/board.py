"""Memory that all workers of a gateway see."""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION_BYTES: Final = 1024 * 1024
_HEAD: Final = struct.Struct("<II")


class Board:
    """Memory that all workers see: each writes its own region, anyone reads all and the common one.

    Args:
        regions: how many workers there are.
    """

    def __init__(self, regions: int) -> None:
        self._regions = regions
        self._memory = mmap.mmap(-1, (regions + 1) * REGION_BYTES)

    def say(self, data: bytes) -> None:
        """Tell all workers something, in place of what was said before."""
        self.write(self._regions, data)

    def heard(self) -> bytes | None:
        """Give what was said last; None for nothing, or while it is being said."""
        return self.read(self._regions)

    def write(self, region: int, data: bytes) -> None:
        """Show a worker's numbers; what does not fit is not shown."""
        if len(data) > REGION_BYTES - _HEAD.size:
            return
        start = region * REGION_BYTES
        head = _HEAD.pack(len(data), zlib.crc32(data))
        self._memory[start + _HEAD.size : start + _HEAD.size + len(data)] = data
        self._memory[start : start + _HEAD.size] = head

    def read(self, region: int) -> bytes | None:
        """Give a worker's numbers; None for none, or while they are being written."""
        start = region * REGION_BYTES
        size, checksum = _HEAD.unpack_from(self._memory, start)
        data = self._memory[start + _HEAD.size : start + _HEAD.size + size]
        return data if size and zlib.crc32(data) == checksum else None

    def others(self, region: int) -> Iterator[bytes]:
        """Give the numbers of all other workers."""
        for other in range(self._regions):
            if other != region and (data := self.read(other)) is not None:
                yield data
