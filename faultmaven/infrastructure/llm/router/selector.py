"""Models chosen by what they are: `size:<8B`, `cap:vision,tools ctx>=128k price<=1`.

Terms are separated by spaces and must all hold.  `price` is US dollars for a million tokens of input
and output together; the cheapest model that fits comes first, one without a known price last.
"""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faultmaven.infrastructure.llm.catalog import ModelInfo

    Test = Callable[[ModelInfo], bool]

_TERM: Final = re.compile(
    r"(?:cap:(?P<caps>[a-z_,]+)|(?P<what>size|ctx|price|out):?(?P<op><=|>=|<|>|=)"
    r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kKmMbBtT]?))\Z"
)
_COMPARE: Final = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_SIZE: Final = re.compile(r"(?<![0-9.a-z])(\d+(?:\.\d+)?)(b|m|t)(?![a-z0-9])", re.IGNORECASE)
_UNITS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def is_selector(name: str) -> bool:
    """Tell whether a model's name is a selector."""
    return all(_TERM.match(term) for term in name.split()) and bool(name.strip())


def choose_models(selector: str, models: Iterable[ModelInfo]) -> list[ModelInfo]:
    """Give the chat models that fit, the cheapest first."""
    tests = [_make_test(term) for term in selector.split()]
    fitting = [
        model for model in models if model.mode == "chat" and all(test(model) for test in tests)
    ]
    return sorted(fitting, key=lambda model: (_price_usd(model), model.id))


def size_of(model: str) -> float | None:
    """Read the number of parameters from a model's name; None where it has none."""
    found = _SIZE.search(model)
    return float(found[1]) * _UNITS[found[2].lower()] if found else None


def _make_test(term: str) -> Test:
    found = _TERM.match(term)
    assert found is not None, "is_selector has agreed"
    if caps := found["caps"]:
        wanted = frozenset(caps.split(","))
        return lambda model: wanted <= model.capabilities
    compare = _COMPARE[found["op"]]
    bound = float(found["number"]) * _UNITS[found["unit"].lower()]
    measure = _MEASURES[found["what"]]

    def test(model: ModelInfo) -> bool:
        value = measure(model)
        return value is not None and math.isfinite(value) and compare(value, bound)

    return test


def _price_usd(model: ModelInfo) -> float:
    price = model.price
    if price is None or price.rates.input is None or price.rates.output is None:
        return math.inf
    return price.rates.input + price.rates.output


_MEASURES: Final[dict[str, Callable[[ModelInfo], float | None]]] = {
    "size": lambda model: size_of(model.id),
    "ctx": lambda model: model.context_window,
    "out": lambda model: model.max_output_tokens,
    "price": _price_usd,
}
