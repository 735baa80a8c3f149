"""What a provider instance is given: a row with the environment applied to it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from faultmaven.infrastructure.llm.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class ProviderConfig:
    """The settings of one provider, resolved.

    Attributes:
        name: the row's name.
        api_key: sent to the provider; never shown by `repr`.
        base_url: without a trailing slash.
        models: the configured model first; what `get_supported_models` answers.
        max_retries: further tries after the first, 0 to 10.
        timeout: seconds; bounds each try's whole plain answer, and for a stream the waits for the
            headers, the first event and the next event.
        confidence_score: 0 to 1, given to every answer.
        headers: extra headers of every request, values resolved.
        call_timeout_s: seconds for a whole call with all its tries and waits; None is no bound but
            the tries' own.
        row: the complete row, validated, with conventions filled in: everything that only a dialect
            reads.
        variables: values of the row's further variables (region, account, …).
        keys: every key by its variable, `api_key` first, where there are several.
    """

    name: str = ""
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    models: list[str] = field(default_factory=list)
    max_retries: int = 2
    timeout: float = 60.0
    confidence_score: float = 0.8
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    call_timeout_s: float | None = None
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    keys: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.models = list(self.models)
        if self.base_url is not None:
            self.base_url = self.base_url.strip().rstrip("/")

    def __copy__(self) -> ProviderConfig:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> ProviderConfig:
        parts = {f.name: deepcopy(getattr(self, f.name), memo) for f in fields(self)}
        return ProviderConfig(**parts)

    def __reduce_ex__(self, protocol: object) -> tuple[type[ProviderConfig], tuple[Any, ...]]:
        # A pickle ends up in files and other processes: it carries neither key nor headers.
        bare = replace(self, api_key=None, headers={}, variables={}, keys={})
        return ProviderConfig, tuple(getattr(bare, f.name) for f in fields(bare))

    def __getitem__(self, key: str) -> Any:
        """Read a setting as from a provider's YAML file: `config["api_base"]`, `config["models"]`."""
        if key == "api_base":
            return self.base_url
        if key == "default_model":
            return self.models[0] if self.models else None
        try:
            return getattr(self, key)
        except AttributeError:
            return self.row[key]


_SETTINGS: Final = {f.name for f in fields(ProviderConfig)}


def make_provider_config(
    config: ProviderConfig | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> ProviderConfig:
    """Make a config of a config, a mapping, single settings, or some of each.

    Raises:
        ConfigurationError: a setting has an unknown name.
    """
    if isinstance(config, ProviderConfig):
        return replace(config, **_known(settings)) if settings else config
    return ProviderConfig(**_known({**(config or {}), **settings}))


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(settings)
    if "api_base" in values:
        values["base_url"] = values.pop("api_base")
    if "default_model" in values:
        first = values.pop("default_model")
        values["models"] = [first, *(m for m in values.get("models", ()) if m != first)]
    unknown = sorted(values.keys() - _SETTINGS)
    if unknown:
        msg = f"unknown provider setting {unknown[0]!r}; known are {', '.join(sorted(_SETTINGS))}."
        raise ConfigurationError(msg, code="unknown_setting")
    return values
