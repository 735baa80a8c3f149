"""Two requests compared field by field, and the differences that are meant, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from faultmaven.testing import RecordedRequest

# What is compared of the headers; the rest says who asks, not what.
HEADERS = (
    "accept-language", "anthropic-beta", "anthropic-version", "api-key", "authorization",
    "content-type", "x-api-key", "x-goog-api-key",
)  # fmt: skip
_SIGNED_WHEN = re.compile(r"(?<=/)[0-9]{8}(?=/)|, Signature=[0-9a-f]{64}$")
ABSENT = "(absent)"
ANYTHING = "(anything)"


@dataclass(frozen=True)
class Meant:
    """A difference between us and a vendor's client that is meant.

    Attributes:
        path: of the field, with * for any part: "body.tools.*.strict".
        ours: what we send: a value (* in text stands for anything), ABSENT or ANYTHING.
        theirs: what the client sends.
        reason: why.
        cases: names of the cases where it shows; () is all in which the field occurs.
    """

    path: str
    ours: Any
    theirs: Any
    reason: str
    cases: tuple[str, ...] = ()

    def covers(self, case: str, path: str, ours: Any, theirs: Any) -> bool:
        """Tell whether a difference is this one."""
        in_case = not self.cases or case in self.cases
        return (
            in_case
            and fnmatchcase(path, self.path)
            and _is_as_said(self.ours, ours)
            and _is_as_said(self.theirs, theirs)
        )


def _is_as_said(said: Any, value: Any) -> bool:
    if isinstance(said, str) and isinstance(value, str):
        return said == ANYTHING or fnmatchcase(value, said)
    return said in (ANYTHING, value)


def fields_of(request: RecordedRequest) -> dict[str, Any]:
    """Give a request as paths and values; empty objects and lists count as values."""
    fields = {"method": request.method, "path": request.path}
    fields |= {f"query.{name}": value for name, value in request.query.items()}
    for name in HEADERS:
        if name in request.headers:
            fields[f"header.{name}"] = _header(name, request.headers[name])
    for name, value in request.json.items():
        fields.update(_flat(f"body.{name}", _parsed(name, value)))
    return fields


def _header(name: str, value: str) -> str:
    if name == "content-type":
        return value.partition(";")[0]
    # Of a signature made at another second only the scope and the signed headers are compared.
    return _SIGNED_WHEN.sub("", value)


def differences(
    case: str, ours: RecordedRequest, theirs: RecordedRequest, meant: Sequence[Meant]
) -> list[str]:
    """Describe every difference that is not meant."""
    left, right = fields_of(ours), fields_of(theirs)
    return [
        f"{path}: ours {left.get(path, ABSENT)!r}, theirs {right.get(path, ABSENT)!r}"
        for path in sorted(left.keys() | right.keys())
        if left.get(path, ABSENT) != right.get(path, ABSENT)
        and not _is_meant(case, path, left, right, meant)
    ]


def unused(
    pairs: Mapping[str, tuple[RecordedRequest, RecordedRequest]], meant: Sequence[Meant]
) -> list[str]:
    """Name the listed differences that do not occur in any case."""
    seen: list[Meant] = []
    for case, (ours, theirs) in pairs.items():
        left, right = fields_of(ours), fields_of(theirs)
        for path in left.keys() | right.keys():
            one, other = left.get(path, ABSENT), right.get(path, ABSENT)
            if one != other:
                seen += [m for m in meant if m.covers(case, path, one, other)]
    return [m.path for m in meant if m not in seen]


def _is_meant(
    case: str,
    path: str,
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    meant: Sequence[Meant],
) -> bool:
    one, other = left.get(path, ABSENT), right.get(path, ABSENT)
    return any(m.covers(case, path, one, other) for m in meant)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    if not children:
        yield path, value
    for name, child in children:
        yield from _flat(f"{path}.{name}", _parsed(name, child))


def _parsed(name: object, value: Any) -> Any:
    """Give JSON within JSON as data: spacing and the order of keys mean nothing."""
    if name in {"arguments", "schema"} and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
