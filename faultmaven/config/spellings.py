"""Other spellings of a provider's row that users bring along, turned into ours.

`type`, `api_format`, `base_url`, `api_base`, `env_var`, `requires_api_key`, `features`, `location` and
`custom_config` are how guides for unified back ends write a provider, `rate_limit_settings` its limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from faultmaven.config.yaml_tree import Steps

CLASS_OF_TYPE: Final = {
    "openai_compatible": "OpenAIProvider",
    "openai": "OpenAIProvider",
    "anthropic": "AnthropicProvider",
    "ollama": "OllamaProvider",
    "local": "LocalProvider",
    "gemini": "GeminiProvider",
    "cohere": "CohereProvider",
    "bedrock": "BedrockProvider",
    "mistral": "OpenAIProvider",
    "custom": "OpenAIProvider",
}
_RENAMED: Final = {
    "base_url": "default_base_url",
    "api_base": "default_base_url",
    "env_var": "api_key_var",
}
_RATES: Final = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute"}
_AUTH_OF_METHOD: Final = {
    "bearer_token": {"style": "bearer"},
    "bearer": {"style": "bearer"},
    "none": {"style": "none"},
}


def to_row(data: Any) -> Any:
    """Give a row in our spelling; what is already ours, or no mapping at all, is left as it is."""
    if not isinstance(data, dict):
        return data
    row = dict(data)
    for theirs, ours in _RENAMED.items():
        if theirs in row and ours not in row:
            row[ours] = row.pop(theirs)
    _take_class(row)
    if row.get("requires_api_key") is False and "api_key_var" not in row:
        row["api_key_var"] = None
    row.pop("requires_api_key", None)
    _take_custom(row)
    extra = {name: row.pop(name) for name in ("features", "location") if name in row}
    if extra:
        row["extra"] = extra | row.get("extra", {})
    return row


def take_limits(data: dict[str, Any], lines: dict[Steps, int]) -> None:
    """Turn `rate_limit_settings` of a file into `limits`; what is not understood is left as it is."""
    theirs = data.get("rate_limit_settings")
    if "limits" in data or not isinstance(theirs, dict) or theirs.keys() - {"enabled", "limits"}:
        return
    providers = theirs.get("limits", {})
    if not isinstance(providers, dict):
        return
    del data["rate_limit_settings"]
    data["limits"] = {
        "enabled": theirs.get("enabled", True),
        "providers": {name: _to_rate(entry) for name, entry in providers.items()},
    }
    for steps, line in list(lines.items()):
        if steps[:2] == ("rate_limit_settings", "limits"):
            ours = tuple(
                _RATES.get(step, step) if isinstance(step, str) else step for step in steps[2:]
            )
            lines["limits", "providers", *ours] = line


def take_retention(data: dict[str, Any]) -> None:
    """Turn `retention: 0` of a file into what it is short for."""
    if data.get("retention", "") in (0, False):
        data["retention"] = {"days": 0}


def _to_rate(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {_RATES.get(name, name): value for name, value in entry.items()}


def _take_class(row: dict[str, Any]) -> None:
    known = [name for name in ("api_format", "type") if row.get(name) in CLASS_OF_TYPE]
    for name in known:
        row.setdefault("provider_class", CLASS_OF_TYPE[row[name]])
    # A type that is not known stays, so that the schema refuses it with its line.
    for name in known:
        del row[name]


def _take_custom(row: dict[str, Any]) -> None:
    custom = row.get("custom_config")
    if not isinstance(custom, dict):
        return
    custom = dict(custom)
    headers = custom.pop("headers", None)
    method = custom.pop("auth_method", None)
    if isinstance(headers, dict):
        row["headers"] = headers | row.get("headers", {})
        if any(name.lower() == "authorization" for name in headers):
            row.setdefault("auth", {"style": "none"})
            row.setdefault("api_key_var", None)
    if method in _AUTH_OF_METHOD:
        row.setdefault("auth", _AUTH_OF_METHOD[method])
    del row["custom_config"]
    if custom:
        row["extra"] = custom | row.get("extra", {})
