"""What is not in the database yet, in files that a killed process leaves behind.

Each call has a line with its row when it has ended, and one before where it lasts.  A line is one write to the
page cache, which outlives the process, though not the machine.  The database knows up to which number
rows are in it, so that no row is taken twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from faultmaven.infrastructure.llm import codec
from faultmaven.infrastructure.llm.db.private_file import FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faultmaven.infrastructure.llm.db.call_store import Row

# Beyond this the other file is written, and this one emptied.
TURN_BYTES: Final = 2 * 1024 * 1024
_MARK: Final = "-open-"
_ENDS: Final = ("-a", "-b")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW

logger = logging.getLogger("faultmaven.ledger")


class Journal:
    """The files of one process.

    Args:
        database: the file beside which they are.

    Attributes:
        name: what the database knows them by.
        size: bytes in the file that is written now.
    """

    def __init__(self, database: Path) -> None:
        self.name = f"{database.name}{_MARK}{os.getpid()}-{os.urandom(4).hex()}"
        self.size = 0
        self._paths = [database.with_name(self.name + end) for end in _ENDS]
        self._files: list[int] = []
        self._active = -1

    @property
    def is_open(self) -> bool:
        """Tell whether lines are written."""
        return self._active >= 0

    def open(self) -> None:
        """Make the files; while they are open, nobody else takes them for a dead process's.

        Raises:
            OSError: they cannot be made.
        """
        self.remove()
        try:
            for path in self._paths:
                descriptor = os.open(path, _NEW, FILE_MODE)
                self._files.append(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.remove()
            raise
        self._active = self._files[0]

    def begin(self, number: int, told: tuple[int, str, str, str]) -> None:
        """Write that a call has begun: when, its id, API and caller."""
        self.write(b"\n" + codec.dumps(("b", number, *told)))

    def turn(self) -> int:
        """Write to the other file from now on; give this one."""
        former = self._active
        self._active = self._files[former == self._files[0]]
        self.size = 0
        return former

    def clear(self, descriptor: int) -> None:
        """Empty the file that `turn` gave, when everything in it is in the database."""
        os.ftruncate(descriptor, 0)

    def remove(self) -> None:
        """Delete the files; twice is fine."""
        for path in self._paths if self._files else ():
            with contextlib.suppress(OSError):
                path.unlink()
        self.leave()

    def leave(self) -> None:
        """Leave the files to whoever opens the database next; twice is fine."""
        self._active = -1
        while self._files:
            os.close(self._files.pop())

    def write(self, line: bytes) -> None:
        """Write a line; where that is not possible the journal is closed until the next `open`."""
        # A line begins with its line feed: one that is cut off spoils no other.
        if self._active < 0:
            return
        try:
            os.write(self._active, line)
        except OSError as exc:
            self._active = -1
            logger.warning("calls are not in the ledger's journal for now: %s", exc)
        self.size += len(line)


def row_line(number: int, begun: int, row: Row) -> bytes:
    """Give the line of a row, by its number, and that of the beginning.

    Raises:
        ValueError: the row holds what no text can.
        TypeError: as before.
    """
    return b"\n" + codec.dumps(("e", number, begun, row))


class Leftover(NamedTuple):
    """The files of a process that is no more.

    Attributes:
        name: what the database knows them by.
        rows: by number, ascending.
        begun: of the calls that had begun and not ended: time, id, API and caller.
    """

    name: str
    rows: dict[int, Row]
    begun: list[tuple[int, str, str, str]]

    @property
    def last(self) -> int:
        """The number of the last row, 0 for none."""
        return max(self.rows, default=0)


@contextlib.contextmanager
def leftovers(database: Path) -> Iterator[list[Leftover]]:
    """Give what dead processes have left; it is deleted unless the context fails.

    To be used by one process at a time, see `alone_in`.
    """
    groups: dict[str, list[Path]] = {}
    descriptors = []
    for path in sorted(database.parent.glob(f"{database.name}{_MARK}*")):
        name, end = path.name[:-2], path.name[-2:]
        descriptor = _claim(path) if end in _ENDS else None
        if descriptor is not None:
            descriptors.append(descriptor)
            groups.setdefault(name, []).append(path)
    try:
        yield [_read(name, paths) for name, paths in groups.items()]
        for paths in groups.values():
            for path in paths:
                path.unlink(missing_ok=True)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _claim(path: Path) -> int | None:
    """Lock a file that nobody has; None where somebody has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _read(name: str, paths: list[Path]) -> Leftover:
    rows: dict[int, Row] = {}
    begun: dict[int, tuple[int, str, str, str]] = {}
    ended = set()
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            kind, number, *rest = _parse(line)
            if kind == "e":
                ended.add(rest[0])
                rows[number] = tuple(rest[1])
            elif kind == "b":
                begun[number] = (rest[0], rest[1], rest[2], rest[3])
    still = [told for number, told in begun.items() if number not in ended]
    return Leftover(name, dict(sorted(rows.items())), still)


def _parse(line: bytes) -> list[Any]:
    """Read a line; one that was cut off says nothing."""
    try:
        found = codec.loads(line)
    except ValueError:
        return ["", 0]
    return found if isinstance(found, list) and len(found) > 2 else ["", 0]
