"""What is written down of calls: a line in the log, a row in the ledger."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Final

from faultmaven.config.folders import state_folder
from faultmaven.gateway.access_lines import AccessLines, line_of
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.secret import redact

if TYPE_CHECKING:
    from pathlib import Path

    from faultmaven.config.settings import Settings
    from faultmaven.gateway.meter import Meter
    from faultmaven.gateway.record import Record
    from faultmaven.infrastructure.llm.ledger import Ledger

LEDGER_NAME: Final = "ledger.db"

logger = logging.getLogger("faultmaven.gateway")
access_logger = logging.getLogger("faultmaven.gateway.access")
# Models' names come again and again.
_redacted_name = lru_cache(maxsize=1024)(redact)


class Books:
    """Writes calls down when they have ended.

    Args:
        settings: say whether there is a ledger.
        meter: counts what could not be written.
        id_prefix: what the requests' ids that are ours begin with.

    Raises:
        ConfigurationError: a ledger is asked for that cannot be.

    Attributes:
        ledger: the rows; None where nothing is kept.
        keeps_content: whether requests and answers are kept.
    """

    def __init__(self, settings: Settings, meter: Meter, id_prefix: str) -> None:
        self.ledger = find_ledger(settings)
        self.keeps_content = self.ledger is not None and self.ledger.retention.content
        self._meter = meter
        self._id_prefix = id_prefix
        self._lines: AccessLines | None = None

    @property
    def problem(self) -> str:
        """Why rows cannot be written now, "" while they can."""
        return "" if self.ledger is None else self.ledger.problem

    def start(self) -> None:
        """Open what is written to; twice is once."""
        found = [h for h in access_logger.handlers if isinstance(h, AccessLines)]
        self._lines = found[0] if found else None
        if self.ledger is None:
            return
        self.ledger.start()
        logger.info("calls are kept in %s", self.ledger.path)
        if self.keeps_content:
            logger.warning(
                "what people ask and are answered is kept in %s (retention.content)",
                self.ledger.path,
            )

    async def close(self) -> None:
        """Write everything that waits; twice is fine."""
        if self._lines is not None:
            self._lines.flush()
        if self.ledger is not None:
            await asyncio.to_thread(self.ledger.close)

    def begin(self, record: Record) -> None:
        """Write down that a call has begun, in case that the process does not live to end it."""
        if self.ledger is not None:
            self._clean_id(record)
            now_ms = time_ns() // 1_000_000
            record.began_as = self.ledger.begin(
                now_ms, record.request_id, record.front, record.caller
            )

    def note(self, record: Record) -> None:
        """Write down a call that has ended."""
        try:
            self._write_down(record)
        except (TypeError, ValueError):
            # Half a surrogate pair in a name, say: no reason to fail a call that has been answered.
            logger.exception("request %a cannot be written down", record.request_id)

    def _write_down(self, record: Record) -> None:
        self._clean_id(record)
        # It may be a client's own word.
        record.model = _redacted_name(record.model)
        ledger = self.ledger
        if ledger is not None:
            row = record.to_row()
            if not ledger.add(row, record.began_as):
                self._meter.ledger_dropped += 1
            if self.keeps_content and record.request:
                ledger.add_exchange(
                    record.began_ms, record.request_id, record.request, bytes(record.answer)
                )
        if self._lines is not None:
            self._lines.add(record)
        elif access_logger.isEnabledFor(logging.INFO):
            access_logger.info("%s", line_of(record))

    def _clean_id(self, record: Record) -> None:
        """Take secrets out of an id that is a client's own."""
        if not record.request_id.startswith(self._id_prefix):
            record.request_id = redact(record.request_id)

    def count_waiting(self) -> None:
        """Tell the meter how the ledger does."""
        if self.ledger is not None:
            self._meter.ledger_waiting = self.ledger.waiting
            self._meter.ledger_failing = int(bool(self.ledger.problem))


def find_ledger(settings: Settings) -> Ledger | None:
    """Make the ledger that the settings ask for; None for none.

    Raises:
        ConfigurationError: it cannot be.
    """
    section = settings.file.section("retention") if settings.file else {}
    url = settings.faultmaven_database_url
    if not section and url is None:
        return None
    from faultmaven.infrastructure.llm.ledger import make_ledger

    return make_ledger(section, url, lambda: default_path(settings))


def default_path(settings: Settings) -> Path:
    """Give the ledger's file where no variable names one.

    Raises:
        ConfigurationError: whoever runs this has no home.
    """
    try:
        return state_folder(settings) / LEDGER_NAME
    except RuntimeError:
        msg = "There is no home folder for the ledger: name its file in FAULTMAVEN_DATABASE_URL."
        raise ConfigurationError(msg, code="no_ledger_path") from None
