"""A user's own models and prices, checked: what goes above the shipped catalog.

An override is an entry of a catalog file (`schemas/catalog.schema.json`), with one short form: the
rates of a single price may stand in the entry itself, `{"input": 0.5, "output": 1.5}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.codec import loads
from faultmaven.infrastructure.llm.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_EXAMPLE = "write for example {input: 0.5, output: 1.5}"
_MAX_USD_PER_MTOK = 1_000_000

_RATE_FIELDS = ("input", "output", "cache_read", "cache_write")
_TIER_FIELDS = ("above_tokens", *_RATE_FIELDS)
_PEAK_FIELDS = ("factor", "hours_utc", "weekdays", "except_dates")
_PRICE_FIELDS = (*_RATE_FIELDS, "tiers", "peak", "from", "until", "source", "confidence")
_LIMIT_FIELDS = ("context_window", "max_input_tokens", "max_output_tokens")
_LIST_FIELDS = ("aliases", "can", "cannot")
_TEXT_FIELDS = ("mode", "knowledge", "released", "retires", "api", "reasoning_field", "source")
_MODEL_FIELDS = (*_LIMIT_FIELDS, *_LIST_FIELDS, *_TEXT_FIELDS, "prices")


def load_overrides(path: Path) -> dict[str, dict[str, Any]]:
    """Read a file of overrides: a JSON object of `provider/model` or `provider/*` to entries.

    Raises:
        ConfigurationError: the file cannot be read or is not such an object.
    """
    try:
        data = loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        msg = f"{path}: cannot be read ({exc})."
        raise ConfigurationError(msg) from exc
    if not isinstance(data, dict):
        msg = f"{path}: a JSON object of 'provider/model' to entries is needed."
        raise ConfigurationError(msg)
    data.pop("$schema", None)
    return data


def parse_key(key: str, source: str) -> tuple[str, str]:
    """Split `provider/model`; a model's name may hold further slashes.

    Raises:
        ConfigurationError: there is no provider or no model in it.
    """
    provider, _, model = key.partition("/")
    if not provider or not model:
        msg = f"{source}: {key!r} is no model; write 'provider/model' or 'provider/*'."
        raise ConfigurationError(msg)
    return provider, model


def parse_entry(entry: object, where: str, source: str) -> dict[str, Any]:
    """Give an override in a catalog file's form.

    Args:
        entry: what the user wrote.
        where: file and path in it, the start of every error.
        source: stands as the source of prices that name none.

    Raises:
        ConfigurationError: a field is unknown or has a value that cannot be.
    """
    fields = _known(entry, (*_MODEL_FIELDS, *_PRICE_FIELDS), where)
    checked = {name: value for name, value in fields.items() if name in _MODEL_FIELDS}
    _check_model(checked, where)
    prices = checked.pop("prices", [])
    if any(name in fields for name in _RATE_FIELDS):
        prices = [{name: value for name, value in fields.items() if name in _PRICE_FIELDS}]
    if prices:
        listed = prices if isinstance(prices, list) else [prices]
        checked["prices"] = [{"source": source, **_checked_price(p, where)} for p in listed]
    return checked


def _check_model(entry: Mapping[str, Any], where: str) -> None:
    for name, value in entry.items():
        if name in _LIMIT_FIELDS:
            _need(_is_count(value), f"{where}.{name}", value, "a number of tokens above 0")
        elif name in _LIST_FIELDS:
            texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
            _need(texts, f"{where}.{name}", value, "a list of texts")
        elif name in _TEXT_FIELDS:
            _need(isinstance(value, str), f"{where}.{name}", value, "a text")


def _checked_price(price: object, where: str) -> Mapping[str, Any]:
    fields = _known(price, _PRICE_FIELDS, where)
    _check_rates(fields, where)
    tiers = fields.get("tiers", [])
    _need(isinstance(tiers, list), f"{where}.tiers", tiers, "a list of tiers")
    for number, tier in enumerate(tiers):
        path = f"{where}.tiers[{number}]"
        known = _known(tier, _TIER_FIELDS, path)
        above = known.get("above_tokens")
        _need(_is_count(above), f"{path}.above_tokens", above, "a number of tokens above 0")
        _check_rates(known, path)
    if "peak" in fields:
        _check_peak(_known(fields["peak"], _PEAK_FIELDS, f"{where}.peak"), f"{where}.peak")
    for name in ("from", "until"):
        day = fields.get(name, "")
        _need(isinstance(day, str), f"{where}.{name}", day, "a date such as '2026-11-21'")
    return fields


def _check_rates(fields: Mapping[str, Any], where: str) -> None:
    for name in _RATE_FIELDS:
        rate = fields.get(name)
        good = rate is None or (_is_number(rate) and 0 <= rate <= _MAX_USD_PER_MTOK)
        _need(good, f"{where}.{name}", rate, "a price in US dollars per million tokens, 0 or more")


def _check_peak(peak: Mapping[str, Any], where: str) -> None:
    factor, hours = peak.get("factor", 0), peak.get("hours_utc")
    _need(_is_number(factor) and factor > 0, f"{where}.factor", factor, "a factor above 0")
    pairs = isinstance(hours, list) and all(_is_hour_pair(pair) for pair in hours)
    _need(pairs, f"{where}.hours_utc", hours, "a list of pairs of hours, such as [[1, 4]]")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_hour_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and [type(hour) for hour in value] == [int, int]
        and 0 <= value[0] < value[1] <= 24
    )


def _need(good: bool, where: str, value: object, wanted: str) -> None:
    if not good:
        msg = f"{where}: {value!r} is not {wanted}."
        raise ConfigurationError(msg)


def _known(value: object, names: Iterable[str], where: str) -> dict[str, Any]:
    """Give an object whose fields are all known."""
    if not isinstance(value, dict):
        msg = f"{where}: {value!r} is not an object with fields; {_EXAMPLE}."
        raise ConfigurationError(msg)
    known = list(names)
    for name in value:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(known)}."
            msg = f"{where}: unknown field {name!r}; {hint}"
            raise ConfigurationError(msg)
    return value
