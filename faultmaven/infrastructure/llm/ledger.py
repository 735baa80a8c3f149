"""The ledger: one row for every call, written by a thread of its own and kept as long as is said.

Whoever ends a call adds its row to a queue, which costs a microsecond and never waits.  The thread
writes what has gathered in one transaction, a few times a second.  What cannot be written waits, up to a
bound; beyond it rows are dropped and counted, and calls go on.  What a killed process had not written
is in its journal, which whoever opens the ledger next takes.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from faultmaven.infrastructure.llm.db.call_store import COLUMNS, CallStore
from faultmaven.infrastructure.llm.db.journal import TURN_BYTES, Journal, leftovers, row_line
from faultmaven.infrastructure.llm.db.private_file import alone_in, make_folder
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from faultmaven.infrastructure.llm.db.call_store import Row
    from faultmaven.infrastructure.llm.db.journal import Leftover

FLUSH_S: Final = 0.1
RETRY_S: Final = 2.0
SWEEP_S: Final = 3600.0
MAX_WAITING: Final = 20_000
# Contents are longer than rows: fewer of them wait.
MAX_WAITING_EXCHANGES: Final = 500
MAX_CONTENT_BYTES: Final = 64 * 1024
CLOSE_S: Final = 10.0
_BATCH: Final = 2000
_TAKEN: Final = 10**15
_OWN_ID: Final = re.compile(r"req_[0-9a-f]+")
_FAILURES: Final = (OSError, sqlite3.Error)

logger = logging.getLogger("faultmaven.ledger")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept, and what of.

    Attributes:
        days: older rows are removed; None keeps them for ever.
        rows: so many of the newest are kept; None keeps all.
        content: whether requests and answers are kept too.
    """

    days: float | None = None
    rows: int | None = None
    content: bool = False

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Retention:
        """Read the file's `retention`.

        Raises:
            ConfigurationError: contents would be kept for ever.
        """
        retention = cls(section.get("days"), section.get("rows"), bool(section.get("content")))
        if retention.content and retention.days is None and retention.rows is None:
            msg = "retention.content keeps what people write: say for how long, in days or rows."
            raise ConfigurationError(msg, code="content_kept_for_ever")
        return retention

    @property
    def keeps_nothing(self) -> bool:
        """Tell whether it says 0."""
        return self.days == 0 or self.rows == 0


class Ledger:
    """Keeps the rows of calls.

    Args:
        store: where they are kept.
        retention: how long.
        now: tells the time.

    Attributes:
        problem: why rows cannot be written now, "" while they can.
        written: rows that are in the file.
    """

    def __init__(
        self,
        store: CallStore,
        retention: Retention = Retention(),
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.retention = retention
        self.problem = ""
        self.written = 0
        self._store = store
        self._now = now
        self._rows: deque[Row] = deque()
        self._exchanges: deque[Row] = deque()
        self._journal = Journal(store.path)
        self._added = 0
        self._begun = 0
        self._open: dict[int, tuple[int, str, str, str]] = {}
        self._open_until = 0
        self._has_rows = threading.Event()
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept_at = float("-inf")

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    @property
    def waiting(self) -> int:
        """How many rows wait to be written."""
        return len(self._rows)

    def start(self) -> None:
        """Start the thread; twice is once.

        The journal is opened first: calls may end before the thread has the file open.
        """
        if self._thread is None:
            try:
                self._open_journal()
            except OSError as exc:
                self._fail(exc)
            self._thread = threading.Thread(
                target=self._run, name="faultmaven-ledger", daemon=True
            )
            self._thread.start()

    def begin(self, time_ms: int, request_id: str, front: str, caller: str) -> int:
        """Note that a call has begun; give the number that `add` takes.

        The thread writes it to the journal if the call lasts longer than the thread's next round.
        """
        self._begun = number = self._begun + 1
        self._open[number] = (time_ms, request_id, front, caller)
        if not self._has_rows.is_set():
            self._has_rows.set()
        return number

    def add(self, row: Row, begun: int = 0) -> bool:
        """Take a row; False where too many wait and it was dropped.

        Args:
            row: in the order of `COLUMNS`.
            begun: what `begin` gave, 0 without it.

        Raises:
            ValueError: the row holds what no file can.
            TypeError: as before.
        """
        self._open.pop(begun, None)
        if len(self._rows) >= MAX_WAITING:
            return False
        line = row_line(self._added + 1, begun, row)
        self._added += 1
        # Before the journal: what is there and not here is lost when the journal is emptied.
        self._rows.append(row)
        self._journal.write(line)
        if not self._has_rows.is_set():
            self._has_rows.set()
        return True

    def add_exchange(self, time_ms: int, request_id: str, request: bytes, answer: bytes) -> bool:
        """Take what was asked and answered; False where too much waits and it was dropped."""
        if len(self._exchanges) >= MAX_WAITING_EXCHANGES:
            return False
        texts = (data[:MAX_CONTENT_BYTES] for data in (request, answer))
        self._exchanges.append((time_ms, request_id, *map(_to_text, texts)))
        return True

    def close(self) -> None:
        """Write what waits, and end the thread; twice is fine."""
        thread, self._thread = self._thread, None
        self._is_closing.set()
        self._has_rows.set()
        if thread is not None:
            thread.join(CLOSE_S)
        if self._rows:
            logger.error("%d calls are not in the ledger: %s", len(self._rows), self.problem)

    def flush(self) -> bool:
        """Write what waits; False where that is not possible now."""
        try:
            self._ensure_open()
            former = self._turn_journal()
            while self._rows or self._exchanges:
                self._write_batch()
            if former is not None:
                self._journal.clear(former)
        except _FAILURES as exc:
            self._fail(exc)
            return False
        if self.problem:
            logger.warning("the ledger %s is written again", self._store.path)
            self.problem = ""
        return True

    def sweep(self) -> int:
        """Remove what is older than is to be kept; give the number of rows.

        Raises:
            OSError: the file cannot be had.
            sqlite3.Error: it cannot be used.
        """
        self._ensure_open()
        days, rows = self.retention.days, self.retention.rows
        before_ms = None
        if days is not None:
            before_ms = int((self._now() - timedelta(days=days)).timestamp() * 1000)
        removed = self._store.sweep(before_ms, rows)
        if removed:
            logger.info("%d rows were too old and were removed from the ledger", removed)
        return removed

    def sweep_if_due(self, monotonic_s: float) -> None:
        """Sweep at the start and every hour."""
        if monotonic_s - self._swept_at < SWEEP_S:
            return
        try:
            self.sweep()
            self._swept_at = monotonic_s
        except _FAILURES as exc:
            self._fail(exc)

    def _run(self) -> None:
        try:
            self._keep_writing()
        except Exception:
            # Nobody else would notice.
            logger.exception("the ledger has ended by a fault of its own: nothing more is written")
            self.problem = "a fault of its own"

    def _keep_writing(self) -> None:
        while True:
            self.sweep_if_due(time.monotonic())
            is_closing = self._is_closing.is_set()
            self._has_rows.clear()
            if not self.flush():
                if is_closing:
                    self._journal.leave()
                    break
                self._is_closing.wait(RETRY_S)
                continue
            if is_closing:
                self._journal.remove()
                break
            # Until the next row, or the next sweep; then a moment, in which others gather.
            self._has_rows.wait(SWEEP_S)
            self._is_closing.wait(FLUSH_S)
        self._store.close()

    def _turn_journal(self) -> int | None:
        """Write to the journal which calls are open, and turn it where it has grown."""
        former = None
        if self._journal.size > TURN_BYTES and self._journal.is_open:
            former = self._journal.turn()
            self._open_until = 0
        # A call that ends meanwhile has its row in the file that is written now, whatever comes first.
        for number, told in [*self._open.items()]:
            if number > self._open_until:
                self._journal.begin(number, told)
                self._open_until = number
        return former

    def _ensure_open(self) -> None:
        """Open the file and the journal, and take what dead processes have left."""
        if self._store.is_open:
            return
        self._store.open()
        with alone_in(self._store.path.parent):
            with leftovers(self._store.path) as found:
                for left in found:
                    self._take(left)
            self._store.forget([left.name for left in found])
        self._open_journal()

    def _open_journal(self) -> None:
        folder = self._store.path.parent
        make_folder(folder)
        with alone_in(folder):
            if not self._journal.is_open:
                self._journal.open()

    def _take(self, left: Leftover) -> None:
        written = self._store.last_of(left.name)
        if written >= _TAKEN:
            return
        rows = [row for number, row in left.rows.items() if number > written]
        # Whether they were answered is not known; nobody was told that they ended.
        rows += [_incomplete(*told) for told in left.begun]
        # No row of it has so high a number: it is taken once, even if its files cannot be deleted.
        self._store.write(rows, journal=left.name, last=left.last + _TAKEN)
        if rows:
            logger.warning(
                "%d calls of a process that was killed are now in the ledger", len(rows)
            )

    def _write_batch(self) -> None:
        rows, exchanges = self._rows, self._exchanges
        # Only this thread takes rows away, so that what is seen here is still there afterwards.
        batch = [rows[place] for place in range(min(len(rows), _BATCH))]
        contents = [exchanges[place] for place in range(min(len(exchanges), _BATCH))]
        self._store.write(
            [*map(_without_secrets, batch)],
            [*map(_redacted, contents)],
            journal=self._journal.name,
            last=self.written + len(batch),
        )
        for _ in batch:
            rows.popleft()
        for _ in contents:
            exchanges.popleft()
        self.written += len(batch)

    def _fail(self, exc: Exception) -> None:
        """Note why nothing is written, once for each reason."""
        said = redact(str(exc))
        if said != self.problem:
            logger.error("the ledger %s cannot be written: %s", self._store.path, said)
        self.problem = said
        self._store.close()


def make_ledger(
    section: Mapping[str, Any], url: str | None, default_path: Callable[[], Path]
) -> Ledger | None:
    """Make the ledger that a configuration asks for; None for none.

    Args:
        section: the file's `retention`.
        url: FAULTMAVEN_DATABASE_URL.
        default_path: gives the file where no URL names one.

    Raises:
        ConfigurationError: the URL is none of SQLite's, or contents would be kept for ever.
    """
    path = None if url is None else path_of_url(url)
    retention = Retention.of(section)
    is_asked_for = url is not None or retention.days is not None or retention.rows is not None
    if not is_asked_for or retention.keeps_nothing:
        return None
    return Ledger(CallStore(path or default_path()), retention)


def path_of_url(url: str) -> Path:
    """Give the file of `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        ConfigurationError: it is another kind of address, or names no file.
    """
    try:
        parts = urlsplit(url)
        scheme, path = parts.scheme, unquote(parts.path)
        names_more = bool(parts.netloc or parts.query)
    except ValueError:
        scheme, path, names_more = "", "", False
    if scheme != "sqlite":
        kind = f"{scheme}://" if scheme.isalnum() else "this"
        msg = (
            f"FAULTMAVEN_DATABASE_URL: ledgers are kept in SQLite, {kind} is not supported; "
            "write sqlite:////absolute/path.db or sqlite:///relative.db."
        )
        raise ConfigurationError(msg, code="unsupported_database")
    if names_more or len(path) < 2 or path.endswith("/") or "\0" in path:
        msg = (
            "FAULTMAVEN_DATABASE_URL names no file; "
            "write sqlite:////absolute/path.db or sqlite:///relative.db."
        )
        raise ConfigurationError(msg, code="bad_database_url")
    return Path(path[1:]).expanduser()


def _incomplete(time_ms: int, request_id: str, front: str, caller: str) -> Row:
    """Make the row of a call that its process did not live to end."""
    known: dict[str, str | int] = {
        "time_ms": time_ms,
        "request_id": request_id,
        "front": front,
        "caller": caller,
        "outcome": "incomplete",
        "code": "process_ended",
        "usage_source": "none",
    }
    rest: dict[str, str | int | None] = {
        name: ("" if kind.startswith("TEXT") else 0) if kind.endswith("NOT NULL") else None
        for name, kind in COLUMNS.items()
    }
    return tuple((rest | known).values())


_MODEL: Final = [*COLUMNS].index("model")
_REQUEST_ID: Final = [*COLUMNS].index("request_id")
# Models' names come again and again.
_redacted_name = lru_cache(maxsize=1024)(redact)


def _without_secrets(row: Row) -> Row:
    """Redact the two fields that a client may have written."""
    request_id, model = str(row[_REQUEST_ID]), str(row[_MODEL])
    clean = _redacted_name(model)
    if clean is model and _OWN_ID.fullmatch(request_id):
        return row
    changed: list[str | int | float | None] = [*row]
    changed[_MODEL], changed[_REQUEST_ID] = clean, redact(request_id)
    return tuple(changed)


def _redacted(exchange: Iterable[Any]) -> Row:
    return tuple(redact(value) if isinstance(value, str) else value for value in exchange)


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
