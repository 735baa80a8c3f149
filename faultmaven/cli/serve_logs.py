"""The gateway's log on standard error: text or JSON, a line for each event and each call."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from faultmaven.cli.output import printable
from faultmaven.infrastructure.llm.secret import RedactingFilter

if TYPE_CHECKING:
    from faultmaven.config.settings import Settings

_TEXT: Final = "%(levelname)s %(name)s: %(message)s"
_ACCESS: Final = "faultmaven.gateway.access"

logger = logging.getLogger("faultmaven")


def start_serve_logs(settings: Settings) -> None:
    """Log as the settings say, in place of how commands log.

    The level is FAULTMAVEN_LOG's, else `observability.log_level`, else info, at which each call has its
    line; `--verbose` stays in force.
    """
    section = settings.file.section("observability") if settings.file else {}
    level = section.get("log_level", "info")
    if settings.source_of("FAULTMAVEN_LOG"):
        level = settings.faultmaven_log
    is_json = section.get("log_format") == "json"
    handler = ServeLog()
    handler.setFormatter(JSONFormatter() if is_json else logging.Formatter(_TEXT))
    handler.addFilter(RedactingFilter())
    logger.handlers = [handler]
    logger.propagate = False
    if logger.level != logging.DEBUG:
        logger.setLevel(level.upper())
    access = logging.getLogger(_ACCESS)
    if access.isEnabledFor(logging.INFO):
        from faultmaven.gateway.access_lines import AccessLines

        access.handlers = [AccessLines("" if is_json else f"INFO {_ACCESS}: ")]
        access.propagate = False


class ServeLog(logging.Handler):
    """Writes records to the standard error, each on one line of its own and made harmless."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            first, *rest = self.format(record).splitlines()
            text = "\n".join([first, *(f"  {line}" for line in rest)])
            sys.stderr.write(f"{printable(text)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  # a log record must never end the gateway
            self.handleError(record)


class JSONFormatter(logging.Formatter):
    """Writes a record as one JSON object in ASCII."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        elif record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line).replace("\x7f", "\\u007f")
