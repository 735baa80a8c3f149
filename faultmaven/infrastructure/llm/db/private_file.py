"""Files that only their owner reads, and that are no way to another file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


def make_private(path: Path, beginning: bytes = b"") -> None:
    """Make a file and its folder if they are not there, and see to it that nobody else reads the file.

    Args:
        path: of the file.
        beginning: what it begins with, unless it is empty; any other file is left as it is.

    Raises:
        OSError: it cannot be had, is a symbolic link, no plain file, somebody else's, or begins with
            something else.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise _refused(path, "it is a symbolic link") from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path, "it is no plain file")
        if found.st_uid != os.geteuid():
            raise _refused(path, "it belongs to another user")
        if found.st_size and os.pread(descriptor, len(beginning), 0) != beginning:
            raise _refused(path, "it holds something else")
        if found.st_mode & _OTHERS:
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only their owner enters; one that is there stays.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that do the same out of a folder.

    Raises:
        OSError: there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refused(path: Path, why: str) -> OSError:
    return OSError(errno.EPERM, f"{path} is not used: {why}")
