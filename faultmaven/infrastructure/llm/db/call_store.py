"""Calls in a file of SQLite: written in batches, swept by age and number, shared by processes."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

from faultmaven.infrastructure.llm.db.private_file import alone_in, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Row: TypeAlias = tuple[str | int | float | None, ...]

# What is known of a call, in the order of a row: name and type.  Times are UTC, in milliseconds since
# 1970; `streamed` is 0 or 1.  There is no place for a prompt or a key.
COLUMNS: Final = {
    "time_ms": "INTEGER NOT NULL",
    "request_id": "TEXT NOT NULL",
    "front": "TEXT NOT NULL",
    "caller": "TEXT NOT NULL",
    "provider": "TEXT NOT NULL",
    "model": "TEXT NOT NULL",
    "rule": "TEXT NOT NULL",
    "attempts": "INTEGER NOT NULL",
    "status": "INTEGER NOT NULL",
    "outcome": "TEXT NOT NULL",
    "code": "TEXT",
    "streamed": "INTEGER NOT NULL",
    "duration_ms": "INTEGER NOT NULL",
    "first_ms": "INTEGER",
    "input_tokens": "INTEGER",
    "output_tokens": "INTEGER",
    "cache_read_tokens": "INTEGER",
    "cache_write_tokens": "INTEGER",
    "reasoning_tokens": "INTEGER",
    "usage_source": "TEXT NOT NULL",
    "cost_usd": "REAL",
}
# The second table, for those who keep contents.
EXCHANGE_COLUMNS: Final = {
    "time_ms": "INTEGER NOT NULL",
    "request_id": "TEXT NOT NULL",
    "request": "TEXT NOT NULL",
    "answer": "TEXT NOT NULL",
}
VERSION: Final = 1
_STATE_VERSION: Final = f"PRAGMA user_version = {VERSION}"
BUSY_TIMEOUT_S: Final = 5.0
_STATEMENT_ROWS: Final = (100, 10, 1)
# Rows that are removed in one transaction, so that others write in between.
_SWEPT_AT_ONCE: Final = 5000

_BEGINNING: Final = b"SQLite format 3\0"  # of every database (sqlite.org/fileformat.html, 1.3.1)
_TABLES: Final = {"calls": COLUMNS, "exchanges": EXCHANGE_COLUMNS}

logger = logging.getLogger("faultmaven.ledger")


class CallStore:
    """The file; used by one thread at a time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether there is anything to close."""
        return self._connection is not None

    def open(self) -> None:
        """Open the file, made if it is not there; a broken one is set aside under another name.

        A file that is no database of SQLite, or another program's, is left as it is.

        Raises:
            OSError: the file cannot be had.
            sqlite3.Error: it cannot be used, now or ever.
        """
        make_private(self.path, _BEGINNING)
        with alone_in(self.path.parent):
            try:
                self._connection = self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as exc:
                self._set_aside(exc)
                self._connection = self._connect()

    def write(
        self,
        rows: Sequence[Row],
        exchanges: Sequence[Row] = (),
        *,
        journal: str | None = None,
        last: int = 0,
    ) -> None:
        """Add rows, all or none.

        Args:
            rows: of calls.
            exchanges: their contents.
            journal: whose rows they are.
            last: the number of the last of them there.

        Raises:
            sqlite3.Error: none was added.
        """
        connection = self._opened()
        with _transaction(connection):
            _insert(connection, "calls", rows)
            _insert(connection, "exchanges", exchanges)
            if journal is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO journals VALUES (?, ?)", (journal, last)
                )

    def last_of(self, journal: str) -> int:
        """Give the number up to which a journal's rows are here, 0 for none.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        query = "SELECT last FROM journals WHERE name = ?"
        found = self._opened().execute(query, (journal,)).fetchone()
        return 0 if found is None else int(found[0])

    def forget(self, journals: Sequence[str]) -> None:
        """Forget journals whose files are no more.

        Raises:
            sqlite3.Error: the file cannot be written.
        """
        for journal in journals:
            self._opened().execute("DELETE FROM journals WHERE name = ?", (journal,))

    def sweep(self, before_ms: int | None, keep_rows: int | None) -> int:
        """Remove rows, and give their number.

        Args:
            before_ms: all that are older; None for none.
            keep_rows: all but so many of the newest; None for none.

        Raises:
            sqlite3.Error: not all of them were removed.
        """
        connection = self._opened()
        removed = 0
        for table in _TABLES:
            if before_ms is not None:
                removed += self._remove(table, "time_ms < ?", before_ms)
            if keep_rows is not None:
                last = connection.execute(_newest(table), (keep_rows,)).fetchone()
                if last is not None:
                    removed += self._remove(table, "id <= ?", last[0])
        if removed:
            # Space that is free, and what the log still has of removed rows, goes back to the disk.
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return removed

    def close(self) -> None:
        """Close the file; twice is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, why: Exception) -> None:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        kept = self.path.with_name(f"{self.path.name}.broken-{now}")
        logger.error("%s is broken (%s); it is kept as %s", self.path, why, kept.name)
        self.path.rename(kept)
        for end in ("-wal", "-shm"):
            beside = self.path.with_name(self.path.name + end)
            with contextlib.suppress(FileNotFoundError):
                beside.rename(kept.with_name(kept.name + end))
        make_private(self.path)

    def _remove(self, table: str, which: str, value: int) -> int:
        connection = self._opened()
        query = (
            f"DELETE FROM {table} WHERE id IN "  # noqa: S608  # our own words
            f"(SELECT id FROM {table} WHERE {which} LIMIT {_SWEPT_AT_ONCE})"
        )
        total = 0
        while removed := connection.execute(query, (value,)).rowcount:
            total += removed
        return total


def _prepare(connection: sqlite3.Connection) -> None:
    """Set a connection up, and make the tables of a new file.

    Raises:
        sqlite3.Error: the file is broken, a newer version's, or another program's.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        msg = f"it was written by a newer version of faultmaven (its version is {version})"
        raise sqlite3.OperationalError(msg)
    if version < VERSION and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        msg = "it holds another program's tables"
        raise sqlite3.OperationalError(msg)
    # Before the first table is made; it has no effect afterwards.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = NORMAL")
    # What is swept is overwritten.
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("PRAGMA trusted_schema = OFF")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    if version < VERSION:
        with _transaction(connection):
            for table, columns in _TABLES.items():
                connection.execute(_creation(table, columns))
            connection.execute("CREATE TABLE journals (name TEXT PRIMARY KEY, last INTEGER)")
            connection.execute(_STATE_VERSION)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows, many to a statement.

    Each statement lets go of the interpreter's lock and waits for it again, which beside a busy event
    loop takes far longer than the rows do; `executemany` would do that for each row.
    """
    place = 0
    for size in _STATEMENT_ROWS:
        statement = _statement(table, size)
        while len(rows) - place >= size:
            values = [value for row in rows[place : place + size] for value in row]
            connection.execute(statement, values)
            place += size


@cache
def _statement(table: str, rows: int) -> str:
    columns = _TABLES[table]
    marks = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * rows)}"  # noqa: S608  # ours


def _newest(table: str) -> str:
    return f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1 OFFSET ?"  # noqa: S608  # ours


def _creation(table: str, columns: Mapping[str, str]) -> str:
    described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {described})"
