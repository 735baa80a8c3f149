"""The settings as a pydantic-settings model: every value checked, all that is wrong said at once.

It reads what `faultmaven.config.settings` reads, from the same places in the same order, and checks
more: that addresses are addresses and files are there.  Importing it costs as much as importing
aiohttp, so that only commands that examine a configuration use it (docs/decisions/settings-reader.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field as Bounds,
    SecretStr,
    ValidationError,
    create_model,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from faultmaven.config.errors import ConfigFileError, Problem
from faultmaven.config.fields import FIELD_BY_ATTRIBUTE, FIELDS, MAX_RETRIES, MAX_TIMEOUT_S
from faultmaven.config.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from faultmaven.config.fields import Field


def load_typed_settings(**explicit: object) -> BaseSettings:
    """Read all settings; each of `faultmaven.config.fields` is an attribute in lower case.

    Args:
        **explicit: as for `load_settings`.

    Raises:
        ConfigFileError: something cannot be read, or a value is not what it must be; lists all.
    """
    texts = _Texts(**explicit)
    try:
        return _model_of(texts)()
    except ValidationError as exc:
        raise ConfigFileError.of(_problems(exc, texts)) from None


def check_settings() -> list[Problem]:
    """Give everything that is wrong with the settings; empty where they are sound."""
    try:
        load_typed_settings()
    except ConfigFileError as exc:
        return list(exc.problems)
    return []


class _Texts(Settings):
    """The settings as they are written, before anything is made of them."""

    @override
    def _parse_fields(self) -> None:
        pass


class _TextSource(PydanticBaseSettingsSource):
    """Gives pydantic-settings what the one reader of the environment has found."""

    def __init__(self, settings_cls: type[BaseSettings], texts: Settings) -> None:
        super().__init__(settings_cls)
        self._texts = texts

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._texts.lookup(field_name.upper()), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        found = {name: self._texts.lookup(FIELD_BY_ATTRIBUTE[name].name) for name in _TYPES}
        return {name: text for name, text in found.items() if text is not None}


def _model_of(texts: Settings) -> type[BaseSettings]:
    class Reading(BaseSettings):
        model_config = SettingsConfigDict(
            frozen=True, hide_input_in_errors=True, extra="forbid", validate_default=False
        )

        @classmethod
        @override
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **_sources: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (_TextSource(settings_cls, texts),)

    definitions: dict[str, Any] = {
        field.attribute: (
            _TYPES[field.attribute],
            Bounds(default=field.default, description=field.description),
        )
        for field in FIELDS
    }
    return create_model("TypedSettings", __base__=Reading, **definitions)


def _problems(error: ValidationError, texts: Settings) -> list[Problem]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = {str(fault["loc"][0]): fault["msg"] for fault in reversed(faults)}
    return [_problem(FIELD_BY_ATTRIBUTE[name], msg, texts) for name, msg in said.items()]


def _problem(field: Field, pydantic_says: str, texts: Settings) -> Problem:
    text = texts.lookup(field.name) or ""
    try:
        field.parse(text)
        fault = pydantic_says.removeprefix("Value error, ")
    except ValueError as exc:
        fault = str(exc)  # the same words as at a start
    shown = "" if field.secret else f" is {text!r} and"
    place = texts.source_of(field.name) or ""
    return Problem(place, None, field.name, f"{field.name}{shown} {fault}")


def _stripped(text: Any) -> Any:
    return text.strip() if isinstance(text, str) else text


def _lowered(text: Any) -> Any:
    return text.strip().lower() if isinstance(text, str) else text


def _listed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _digits(text: Any) -> Any:
    word = _stripped(text)
    if isinstance(word, str) and not (word.isascii() and word.isdigit()):
        msg = "must be a whole number"
        raise ValueError(msg)
    return word


def _number(text: Any) -> Any:
    try:
        return float(text)  # any decimal digits, not only ASCII's
    except ValueError:
        return text


def _address(text: str) -> str:
    msg = "must be an address such as scheme://host:port/name"
    try:
        parts = urlsplit(text)
        sound = bool(parts.scheme and (parts.hostname or parts.path)) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "://" not in text:
        raise ValueError(msg)
    return text


def _secret_address(text: SecretStr) -> SecretStr:
    _address(text.get_secret_value())
    return text


def _file(text: str) -> str:
    if not Path(text).is_file():
        msg = "must be the path of a file"
        raise ValueError(msg)
    return text


_ADDRESSES: Final = frozenset({"faultmaven_state_url", "faultmaven_database_url"})
_OF_KIND: Final[dict[str, Any]] = {
    "text": Annotated[str, BeforeValidator(_stripped)],
    "path": Annotated[str, BeforeValidator(_stripped), AfterValidator(_file)],
    "list": Annotated[tuple[str, ...], BeforeValidator(_listed)],
    "switch": Annotated[
        Literal["1", "true", "yes", "on", "0", "false", "no", "off"],
        BeforeValidator(_lowered),
        AfterValidator(lambda word: word in ("1", "true", "yes", "on")),
    ],
    "seconds": Annotated[
        float, BeforeValidator(_number), Bounds(gt=0, le=MAX_TIMEOUT_S, allow_inf_nan=False)
    ],
    "count": Annotated[int, BeforeValidator(_digits), Bounds(ge=0, le=MAX_RETRIES)],
    "level": Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lowered)
    ],
}


def _type_of(field: Field) -> Any:
    kind = _OF_KIND[field.kind]
    if field.secret and field.kind == "list":
        kind = Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)]
    elif field.secret:
        kind = Annotated[SecretStr, BeforeValidator(_stripped)]
        if field.attribute in _ADDRESSES:
            kind = Annotated[kind, AfterValidator(_secret_address)]
    return kind | None if field.default is None else kind


_TYPES: Final = {field.attribute: _type_of(field) for field in FIELDS}
