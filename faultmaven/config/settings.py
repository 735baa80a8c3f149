"""The only reader of the environment.

A variable is looked for in this order: an explicit argument, the process's environment, `.env`,
`faultmaven.yaml` (its `settings`), the default.  An empty string counts as not set.  `NAME_FILE`
names a file that holds the value (a mounted secret).  Nothing here changes `os.environ`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from faultmaven.config.dotenv_file import find_upward, is_secret_name, load_dotenv_file
from faultmaven.config.errors import ConfigFileError, Problem
from faultmaven.config.expand import MissingVariableError, expand
from faultmaven.config.fields import FIELD_BY_ATTRIBUTE, FIELDS, Field, Value
from faultmaven.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.file import ConfigFile

MAX_SECRET_FILE_BYTES: Final = 65_536
DOTENV_NAME: Final = ".env"
CONFIG_NAME: Final = "faultmaven.yaml"


class Layer(NamedTuple):
    """Variables from one place; `lines` is empty where the place has no lines."""

    label: str
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def source_of(self, name: str) -> str:
        """Name the place, with the line where there is one."""
        return f"{self.label}:{self.lines[name]}" if name in self.lines else self.label


class Settings:
    """The settings as they were when this was made; `load_settings` makes it.

    Every setting of `faultmaven.config.fields` is an attribute in lower case.
    """

    chat_provider: str
    synthesis_provider: str | None
    classifier_provider: str | None
    code_provider: str | None
    multimodal_provider: str | None
    fallback_providers: tuple[str, ...]
    strict_provider_mode: bool
    faultmaven_providers: tuple[str, ...]
    llm_request_timeout: float | None
    llm_max_retries: int | None
    faultmaven_log: str
    faultmaven_config: str | None
    faultmaven_env_file: str | None
    faultmaven_env_prefix: str
    faultmaven_gateway_keys: tuple[str, ...]
    faultmaven_state_url: str | None
    faultmaven_database_url: str | None
    provider_type: str
    config_path: str | None

    def __init__(self, **explicit: object) -> None:
        self._explicit = explicit
        self._folder = Path.cwd()
        given = {name.upper(): _to_text(value) for name, value in explicit.items()}
        # Live: a key that is set later serves the next provider that is built.
        environment = Layer("environment", os.environ, {})
        self._layers: list[Layer] = [Layer("argument", given, {}), environment]
        self._prefixes: tuple[str, ...] = ("",)
        self._file_values: dict[str, str] = {}
        self.file: ConfigFile | None = None
        self._add_dotenv()
        if prefix := self.lookup("FAULTMAVEN_ENV_PREFIX"):
            self._prefixes = (prefix, "")
        self._add_config_file()
        self._parse_fields()

    def lookup(self, name: str) -> str | None:
        """Give a variable's value; None where it is not set or empty.

        Raises:
            ConfigFileError: `NAME` and `NAME_FILE` are both set, or the file cannot be read.
        """
        found = self._find(name)
        return found[0] if found else None

    def source_of(self, name: str) -> str | None:
        """Say where a variable is set: "environment", "/project/.env:12", "file /run/…"; None for nowhere."""
        found = self._find(name)
        return found[1] if found else None

    def again(self) -> Settings:
        """Read everything anew, with the same explicit arguments.

        Raises:
            ConfigFileError: something cannot be read or understood.
        """
        return Settings(**self._explicit)

    @property
    def config_folder(self) -> Path | None:
        """The folder of faultmaven.yaml; None where there is none."""
        return None if self.file is None else self.file.path.parent.absolute()

    def watched_paths(self) -> list[Path]:
        """Give the files and folders that these settings come from, or would if they existed.

        They are `.env`, `faultmaven.yaml`, `providers.d` with its files, the files that `NAME_FILE`
        variables have named, and the one that CONFIG_PATH names, with `instance.yaml` beside it.
        """
        from faultmaven.config.file import PROVIDERS_FOLDER
        from faultmaven.config.own_provider import INSTANCE_NAME

        paths: list[Path] = []
        for variable, name in (
            ("FAULTMAVEN_ENV_FILE", DOTENV_NAME),
            ("FAULTMAVEN_CONFIG", CONFIG_NAME),
        ):
            named = self.lookup(variable)
            found = Path(named) if named else find_upward(name, self._folder)
            paths.append(found or self._folder / name)
        folder = paths[-1].parent / PROVIDERS_FOLDER
        paths += [folder, *sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])]
        if self.config_path:
            own = Path(self.config_path)
            paths += [own, own.parent / INSTANCE_NAME]
        return [*paths, *map(Path, self._file_values)]

    def __reduce__(self) -> NoReturn:
        msg = (
            "settings hold secrets and are not pickled; call load_settings() where they are needed"
        )
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"Settings(chat_provider={self.chat_provider!r}, layers={[x.label for x in self._layers]})"

    def _find(self, name: str) -> tuple[str, str] | None:
        for layer in self._layers:
            values = layer.values
            for prefix in self._prefixes:
                key = f"{prefix}{name}"
                value = values.get(key)
                path = values.get(f"{key}_FILE")
                if value:
                    if path:
                        raise ConfigFileError(
                            layer.source_of(key), path=key, problem=f"{key} and {key}_FILE are both set",
                            remedy="Remove one of the two.",
                        )  # fmt: skip
                    return self._expanded(layer, key, value), layer.source_of(key)
                if path:
                    return self._read_secret(key, path), f"file {path}"
        return None

    def _expanded(self, layer: Layer, key: str, value: str) -> str:
        if not layer.lines or "${" not in value:
            return value
        try:
            return expand(value, lambda other: None if other == key else self.lookup(other))
        except MissingVariableError as exc:
            raise ConfigFileError(
                layer.label, layer.lines[key], key, f"refers to {exc.name}, which is not set",
                f"Set {exc.name}, or write ${{{exc.name}:-default}}.",
            ) from None  # fmt: skip
        except RecursionError:
            raise ConfigFileError(
                layer.label, layer.lines[key], key, "refers to itself through other variables"
            ) from None

    def _read_secret(self, key: str, path: str) -> str:
        if path not in self._file_values:
            try:
                with Path(path).open("rb") as file:
                    data = file.read(MAX_SECRET_FILE_BYTES + 1)
                text = data.decode().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
                raise ConfigFileError(
                    path, path=f"{key}_FILE", problem=f"cannot be read ({reason})",
                    remedy="Check the path and its mode.",
                ) from None  # fmt: skip
            if len(data) > MAX_SECRET_FILE_BYTES or not text:
                raise ConfigFileError(
                    path,
                    path=f"{key}_FILE",
                    problem=f"must hold 1 to {MAX_SECRET_FILE_BYTES} bytes",
                )
            self._file_values[path] = text
        return self._file_values[path]

    def _add_dotenv(self) -> None:
        named = self.lookup("FAULTMAVEN_ENV_FILE")
        path = Path(named) if named else find_upward(DOTENV_NAME, Path.cwd())
        if path is not None:
            loaded = load_dotenv_file(path)
            self._layers.append(Layer(str(path), loaded.values, loaded.lines))

    def _add_config_file(self) -> None:
        named = self.lookup("FAULTMAVEN_CONFIG")
        path = Path(named) if named else find_upward(CONFIG_NAME, Path.cwd())
        if path is None:
            return
        from faultmaven.config.file import load_config_file

        self.file = load_config_file(path, self.lookup)
        values = {k.upper(): _to_text(v) for k, v in self.file.section("settings").items()}
        lines = {name: self.file.line_of(("settings", name.lower())) or 1 for name in values}
        self._layers.append(Layer(str(path), values, lines))

    def _parse_fields(self) -> None:
        problems: list[Problem] = []
        for field in FIELDS:
            try:
                setattr(self, field.attribute, self._value_of(field))
            except ValueError as exc:
                if isinstance(exc, ConfigFileError):
                    problems.extend(exc.problems)
                else:
                    problems.append(self._problem(field, str(exc)))
        if problems:
            raise ConfigFileError.of(problems)

    def _value_of(self, field: Field) -> Value:
        text = self.lookup(field.name)
        return field.default if text is None else field.parse(text)

    def _problem(self, field: Field, said: str) -> Problem:
        shown = "" if field.secret else f" is {self.lookup(field.name)!r} and"
        return Problem(
            self.source_of(field.name) or "", None, field.name, f"{field.name}{shown} {said}"
        )

    def secret_values(self) -> list[str]:
        """Give the values of all set variables whose names say that they are secret."""
        names = {name for layer in self._layers for name in layer.values if is_secret_name(name)}
        return [
            value for layer in self._layers for name in names if (value := layer.values.get(name))
        ]


def load_settings(**explicit: object) -> Settings:
    """Read the environment, `.env` and `faultmaven.yaml`, now.

    Args:
        **explicit: variables that win over all of them; names in either case.  A lower-case name
            must be one of the settings.

    Raises:
        ConfigFileError: something cannot be read or understood; lists everything that is wrong.
        TypeError: an argument is not a setting.
    """
    for name in explicit:
        if name.islower() and name not in FIELD_BY_ATTRIBUTE:
            msg = f"load_settings() has no setting {name!r}. {did_you_mean(name, FIELD_BY_ATTRIBUTE)}"
            raise TypeError(msg.rstrip())
    return Settings(**explicit)


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
