"""Write `schemas/catalog/<provider>.json` from a table of models.

    python scripts/build_catalog.py models.json schemas/catalog --as-of 2026-11-21

The table is one JSON document, `{"models": [record, ...]}`.  A record has `id`, `provider`, `mode`,
`context_window`, `max_input_tokens`, `max_output_tokens`, `price_per_mtok_usd` (input, output,
cache_read, cache_write), `price_tiers` (above, and rates), `price_valid_from`, `price_source`,
`price_confidence`, `sources`, `knowledge`, `release_date`, `deprecation_date`, `api_shape`,
`interleaved_field`, and true, false or null for each capability.  Files of providers that the table
does not mention are left alone.
"""

from __future__ import annotations

import argparse
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

CAPABILITIES = {
    "audio": "audio",
    "images": "vision",
    "parallel_tools": "parallel_tools",
    "pdf": "pdf",
    "reasoning": "reasoning",
    "structured": "structured_output",
    "temperature": "temperature",
    "tools": "tools",
}
RATES = ("input", "output", "cache_read", "cache_write")
CONFIDENCES = {"high", "medium", "low", "single"}

# Models that answer 400 to a temperature: reasoning models of OpenAI (vendor's reference, read
# 2026-11-20), Claude from Opus 4.7 and the fifth generation on, Kimi from K2.5 on.  Tables state
# this for some names of a family only.
REFUSE_TEMPERATURE = {
    "anthropic": r"claude-(opus-4-[78]|[a-z]+-[5-9])\b.*",
    "anthropic_aws": r"claude-(opus-4-[78]|[a-z]+-[5-9])\b.*",
    "azure_anthropic": r"claude-(opus-4-[78]|[a-z]+-[5-9])\b.*",
    "azure_openai": r"(o\d|gpt-[5-9])(?!.*chat).*",
    "moonshot": r"kimi-k(2\.[5-9]|[3-9])\b.*",
    "moonshot_cn": r"kimi-k(2\.[5-9]|[3-9])\b.*",
    "openai": r"(o\d|gpt-[5-9])(?!.*chat).*",
    "vertex_ai_anthropic": r"claude-(opus-4-[78]|[a-z]+-[5-9])\b.*",
}

# What may stand before a name without changing which model is meant.
PREFIXES = {
    "gemini": ["models/"],
    "vertex_ai": ["publishers/google/models/", "google/"],
    "vertex_ai_anthropic": ["publishers/anthropic/models/"],
}

# DeepSeek's price page, in force since 2026-08-17: twice the price from Monday to Friday at 01-04 and
# 06-10 UTC, Chinese public holidays excepted.  The dates are the statutory days that fall on a
# working day, and the week of October 2026; bridge days of 2027 are announced late in 2026.
PEAKS_SINCE = "2026-08-17"
PEAKS: dict[str, dict[str, Any]] = {
    "deepseek": {
        "factor": 2,
        "hours_utc": [[1, 4], [6, 10]],
        "weekdays": [1, 2, 3, 4, 5],
        "except_dates": [
            *("2026-09-25", "2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"),
            *("2027-01-01", "2027-02-05", "2027-02-08", "2027-04-05", "2027-06-09", "2027-09-15"),
            "2027-10-01",
        ],
    }
}


def is_date(text: str) -> bool:
    """Say whether a text is an ISO date; tables hold days such as 2025-25-11."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def make_price(record: dict[str, Any]) -> dict[str, Any] | None:
    """Give the record's price in the catalog's form; None where no rate is known."""
    stated = record["price_per_mtok_usd"]
    price: dict[str, Any] = {rate: stated[rate] for rate in RATES if stated.get(rate) is not None}
    if not price:
        return None
    tiers = sorted(record.get("price_tiers") or [], key=lambda tier: tier["above"])
    if tiers:
        price["tiers"] = [
            {"above_tokens": tier["above"]}
            | {rate: tier[rate] for rate in RATES if tier.get(rate) is not None}
            for tier in tiers
        ]
    if peak := PEAKS.get(record["provider"]):
        price["peak"] = peak
        price["from"] = PEAKS_SINCE
    if since := record.get("price_valid_from"):
        price["from"] = since[:10]
    if source := record.get("price_source"):
        price["source"] = source
    if record.get("price_confidence") in CONFIDENCES:
        price["confidence"] = record["price_confidence"]
    return price


def refusals(record: dict[str, Any]) -> dict[str, bool]:
    """Give what the record's family refuses, where the table does not say so."""
    family = REFUSE_TEMPERATURE.get(record["provider"], "(?!)")
    refused = record["mode"] == "chat" and re.fullmatch(family, record["id"])
    return {"temperature": False} if refused else {}


def make_dates(record: dict[str, Any]) -> dict[str, str]:
    """Give the record's dates that are whole; a cut-off may be a month."""
    dates = {"knowledge": "knowledge", "release_date": "released", "deprecation_date": "retires"}
    found: dict[str, str] = {}
    for field, name in dates.items():
        value = record.get(field) or ""
        if is_date(value) or (name == "knowledge" and is_date(f"{value}-01")):
            found[name] = value
    return found


def make_entry(record: dict[str, Any]) -> dict[str, Any]:
    """Give one model in the catalog's form; what is not known is left out."""
    entry: dict[str, Any] = {}
    if record["mode"] != "chat":
        entry["mode"] = record["mode"]
    for name in ("context_window", "max_input_tokens", "max_output_tokens"):
        if record.get(name):
            entry[name] = record[name]
    record = record | refusals(record)
    for name, wanted in (("can", True), ("cannot", False)):
        if found := sorted(c for field, c in CAPABILITIES.items() if record.get(field) is wanted):
            entry[name] = found
    if price := make_price(record):
        entry["prices"] = [price]
    entry |= make_dates(record)
    for field, name in (("api_shape", "api"), ("interleaved_field", "reasoning_field")):
        if record.get(field):
            entry[name] = record[field]
    if record.get("sources"):
        entry["source"] = ", ".join(record["sources"])
    return entry


def format_file(provider: str, as_of: str, models: dict[str, dict[str, Any]]) -> str:
    """Write one model a line, so that a changed price is a changed line."""
    head: dict[str, Any] = {
        "$schema": "../catalog.schema.json",
        "provider": provider,
        "as_of": as_of,
    }
    if provider in PREFIXES:
        head["prefixes"] = PREFIXES[provider]
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    rows = [
        f"{json.dumps(model, ensure_ascii=False)}: {json.dumps(models[model], ensure_ascii=False)}"
        for model in sorted(models)
    ]
    return "{" + ",\n".join(lines) + ',\n"models": {\n' + ",\n".join(rows) + "\n}}\n"


def main() -> None:
    """Read the table and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="the JSON table of models")
    parser.add_argument("folder", type=Path, help="where the catalog files go")
    parser.add_argument("--as-of", required=True, help="the day of the table, YYYY-MM-DD")
    arguments = parser.parse_args()
    providers: dict[str, dict[str, dict[str, Any]]] = {}
    for record in json.loads(arguments.table.read_text("utf-8"))["models"]:
        providers.setdefault(record["provider"], {})[record["id"]] = make_entry(record)
    for provider, models in sorted(providers.items()):
        text = format_file(provider, arguments.as_of, models)
        (arguments.folder / f"{provider}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
