"""What a host does with parameters, applied to a finished body: renamed, clamped, dropped, defaulted.

Nothing is done in silence: every change to what the caller asked for is a sentence in the report.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from faultmaven.infrastructure.llm.errors import UnsupportedParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping


def apply_rules(
    body: dict[str, Any],
    rules: Mapping[str, Any],
    report: list[str],
    *,
    on_unsupported: str = "warn",
) -> dict[str, Any]:
    """Apply a row's `params` to a body.

    Args:
        body: changed in place and given back.
        rules: `rename` {name: name}, `clamp` {name: [low, high]}, `drop` [name], `defaults` {name:
            value}; `tool_choice` {auto, none, required, function: the host's word, None for no
            such thing}.
        report: gets a sentence for each parameter that could not be sent as asked.
        on_unsupported: what a drop means: "error", "warn" (drop and report) or "drop".

    Raises:
        UnsupportedParameterError: the policy is "error" and a parameter would be dropped.
    """
    for name in rules.get("drop", ()):
        if name in body:
            _drop(body, name, report, on_unsupported)
    for name, (low, high) in rules.get("clamp", {}).items():
        _clamp(body, name, -inf if low is None else low, inf if high is None else high, report)
    _say_tool_choice(body, rules.get("tool_choice") or {}, report, on_unsupported)
    for name, other in rules.get("rename", {}).items():
        if name in body:
            body[other] = body.pop(name)
    for name, value in rules.get("defaults", {}).items():
        body.setdefault(name, value)
    return body


def _clamp(body: dict[str, Any], name: str, low: float, high: float, report: list[str]) -> None:
    value = body.get(name)
    if isinstance(value, int | float) and not low <= value <= high:
        body[name] = min(max(value, low), high)
        report.append(f"{name} {value:g} is outside {low:g} to {high:g}: sent {body[name]:g}")


def _say_tool_choice(
    body: dict[str, Any], words: Mapping[str, Any], report: list[str], on_unsupported: str
) -> None:
    choice = body.get("tool_choice")
    if choice is None or not words:
        return
    said = words.get(choice if isinstance(choice, str) else "function", choice)
    if said is None:
        _drop(body, "tool_choice", report, on_unsupported)
    else:
        body["tool_choice"] = said


def _drop(body: dict[str, Any], name: str, report: list[str], on_unsupported: str) -> None:
    if on_unsupported == "error":
        msg = f"{name} cannot be taken; leave it out, or set on_unsupported to warn"
        raise UnsupportedParameterError(msg, parameter=name, code="unsupported_parameter")
    del body[name]
    if on_unsupported == "warn":
        report.append(f"{name} cannot be taken: not sent")
