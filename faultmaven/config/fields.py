"""The settings that are not a provider's own: name, kind, default, meaning.

Documentation and `.env.example` are generated from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["text", "list", "switch", "seconds", "count", "level", "path"]
Value = str | float | int | bool | tuple[str, ...] | None

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
MAX_TIMEOUT_S: Final = 3600.0
MAX_RETRIES: Final = 10
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Field:
    """One setting.

    Attributes:
        name: the environment variable.
        kind: how its text is read.
        default: its value where it is not set.
        group: the heading it is listed under.
        description: one sentence, unit included.
        example: a value for `.env.example`, "" for none.
        secret: whether the value must never be shown.
    """

    name: str
    kind: Kind
    default: Value
    group: str
    description: str
    example: str = ""
    secret: bool = False

    @property
    def attribute(self) -> str:
        """Its name as an attribute of `Settings` and in faultmaven.yaml."""
        return self.name.lower()

    def parse(self, text: str) -> Value:
        """Read the variable's text.

        Raises:
            ValueError: it is not of the field's kind, or out of range; says what is permitted.
        """
        return _PARSERS[self.kind](text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    msg = "must be true or false"
    raise ValueError(msg)


def _seconds(text: str) -> float:
    msg = f"must be a number of seconds, above 0 and at most {MAX_TIMEOUT_S:g}"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(msg) from None
    if not 0 < value <= MAX_TIMEOUT_S:
        raise ValueError(msg)
    return value


def _count(text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit() and int(word[:9]) <= MAX_RETRIES):
        msg = f"must be a whole number from 0 to {MAX_RETRIES}"
        raise ValueError(msg)
    return int(word)


def _level(text: str) -> str:
    word = text.strip().lower()
    if word not in LEVELS:
        msg = f"must be one of {', '.join(LEVELS)}"
        raise ValueError(msg)
    return word


_PARSERS: Final[dict[str, Callable[[str], Value]]] = {
    "text": str.strip,
    "path": str.strip,
    "list": _words,
    "switch": _switch,
    "seconds": _seconds,
    "count": _count,
    "level": _level,
}

FIELDS: Final = (
    Field(
        "CHAT_PROVIDER",
        "text",
        "embedded",
        "Providers",
        "The provider that answers, a row's name; `embedded` needs no key and no network.",
        "groq",
    ),
    Field(
        "SYNTHESIS_PROVIDER",
        "text",
        None,
        "Providers",
        "The provider for summaries and final answers; CHAT_PROVIDER where it is not set.",
    ),
    Field(
        "CLASSIFIER_PROVIDER",
        "text",
        None,
        "Providers",
        "The provider for short classifications; CHAT_PROVIDER where it is not set.",
    ),
    Field(
        "CODE_PROVIDER",
        "text",
        None,
        "Providers",
        "The provider for work on code; CHAT_PROVIDER where it is not set.",
    ),
    Field(
        "MULTIMODAL_PROVIDER",
        "text",
        None,
        "Providers",
        "The provider for images, sound and files; CHAT_PROVIDER where it is not set.",
    ),
    Field(
        "FALLBACK_PROVIDERS",
        "list",
        (),
        "Providers",
        "Who takes over when the first provider fails, in order, separated by commas.",
        "openai,anthropic",
    ),
    Field(
        "STRICT_PROVIDER_MODE",
        "switch",
        False,
        "Providers",
        "true: only the first provider is asked, FALLBACK_PROVIDERS is not used.",
    ),
    Field(
        "FAULTMAVEN_PROVIDERS",
        "list",
        (),
        "Providers",
        "Further providers that are described by variables alone: `acme` reads ACME_API_BASE, "
        "ACME_API_KEY and ACME_MODEL.",
    ),
    Field(
        "LLM_REQUEST_TIMEOUT",
        "seconds",
        None,
        "Calls",
        "Seconds for a whole call with all its tries and waits; not set, each try has its row's "
        "`timeout`.",
        "120",
    ),
    Field(
        "LLM_MAX_RETRIES",
        "count",
        None,
        "Calls",
        "Further tries after the first, 0 to 10, for every provider; not set, each row's "
        "`max_retries`.",
    ),
    Field(
        "FAULTMAVEN_LOG",
        "level",
        "warning",
        "Files and logs",
        "The least severe messages that are logged: debug, info, warning, error or critical.",
    ),
    Field(
        "FAULTMAVEN_CONFIG",
        "path",
        None,
        "Files and logs",
        "The configuration file; not set, the nearest faultmaven.yaml of the project, if any.",
    ),
    Field(
        "FAULTMAVEN_ENV_FILE",
        "path",
        None,
        "Files and logs",
        "The file of variables; not set, the nearest .env of the project, if any.",
    ),
    Field(
        "FAULTMAVEN_ENV_PREFIX",
        "text",
        "",
        "Files and logs",
        "A prefix that is tried first for every variable: with GENAI_, GENAI_GROQ_API_KEY comes "
        "before GROQ_API_KEY.",
    ),
    Field(
        "FAULTMAVEN_GATEWAY_KEYS",
        "list",
        (),
        "Gateway",
        "The keys that clients of the gateway may present, separated by commas.",
        secret=True,
    ),
    Field(
        "FAULTMAVEN_STATE_URL",
        "text",
        None,
        "Gateway",
        "Redis or Valkey for the limits, budgets, circuits and cache that machines share; not set, "
        "they are kept in memory.",
        secret=True,
    ),
    Field(
        "FAULTMAVEN_DATABASE_URL",
        "text",
        None,
        "Gateway",
        "The ledger's file, sqlite:////absolute/path.db or sqlite:///relative.db; not set, one in the "
        "state folder where `retention` asks for a ledger, else none.",
        secret=True,
    ),
    Field(
        "PROVIDER_TYPE",
        "text",
        "anthropic",
        "Single-provider service",
        "The provider that `create_provider` and the minimal service use.",
    ),
    Field(
        "CONFIG_PATH",
        "path",
        None,
        "Single-provider service",
        "The provider's own YAML file, for the minimal service.",
    ),
)

FIELD_BY_ATTRIBUTE: Final = {field.attribute: field for field in FIELDS}
