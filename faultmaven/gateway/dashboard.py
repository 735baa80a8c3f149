"""The front door: one sentence for programs, and for people a page that shows the numbers.

The page is three files without anything of another host.  It is open, for it says nothing; what it shows
comes from an address for administrators, with the key that one of them types.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from faultmaven import __version__
from faultmaven.gateway.answer import Answer
from faultmaven.gateway.meter import DURATION_BUCKETS_S, Series
from faultmaven.gateway.pages import id_field, json_answer
from faultmaven.gateway.routes import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultmaven.gateway.app import Gateway
    from faultmaven.gateway.meter import Meter
    from faultmaven.gateway.routes import Visit

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'"
)
_GUARDED: Final = (
    f"content-security-policy: {POLICY}\r\nreferrer-policy: no-referrer\r\n"
    "x-frame-options: DENY\r\ncache-control: no-cache\r\n"
)
_KINDS: Final = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
# So much of the requests ended below the time that is shown.
_SHARE: Final = 0.95


class Dashboard:
    """Serves the front door and the page behind it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[tuple[str, Route]]:
        """Give the paths."""
        yield "/", Route({"GET": self.home, "HEAD": self.home}, access="open")
        yield "/dashboard/page.css", Route({"GET": self.style}, access="open")
        yield "/dashboard/page.js", Route({"GET": self.script}, access="open")
        yield "/dashboard/numbers", Route({"GET": self.numbers}, access="admin")

    async def home(self, visit: Visit) -> Answer:
        """Show browsers the page, and say to programs what this is; some ask before they call."""
        if "text/html" in visit.request.headers.get("Accept", ""):
            return _file("index.html", visit)
        said = {"service": "faultmaven", "version": __version__}
        return json_answer(said, visit, fields="vary: Accept\r\n")

    async def style(self, visit: Visit) -> Answer:
        """Give the page's style."""
        return _file("page.css", visit)

    async def script(self, visit: Visit) -> Answer:
        """Give the page's script."""
        return _file("page.js", visit)

    async def numbers(self, visit: Visit) -> Answer:
        """Give what the page shows."""
        gateway = self._gateway
        meter = gateway.numbers()
        models = _by_model(meter)
        names = [*gateway.registry.get_available_providers(), *(name for name, _ in models)]
        listed = [
            {"name": name, "state": self._state_of(name), **_sums(_of_provider(name, models))}
            for name in sorted(set(names))
        ]
        shown = {
            "version": __version__,
            "draining": gateway.is_draining,
            "in_flight": meter.in_flight,
            "providers": listed,
            "models": [
                {"provider": provider, "name": model, **_sums([series])}
                for (provider, model), series in sorted(models.items())
            ],
        }
        return json_answer(shown, visit, fields="cache-control: no-store\r\n")

    def _state_of(self, provider: str) -> str:
        circuits = self._gateway.meter.breakers.of(provider)
        alone = [circuit["model"] for circuit in circuits if circuit["state"] != "closed"]
        return f"left alone: {', '.join(alone)}" if alone else "ok"


_Outcomes = dict[bool, Series]


def _by_model(meter: Meter) -> dict[tuple[str, str], _Outcomes]:
    """Sum up by provider and model, what went well apart from what did not."""
    found: dict[tuple[str, str], _Outcomes] = {}
    for (_, provider, model, outcome), series in meter.series():
        if provider:
            outcomes = found.setdefault((provider, model), {True: Series(), False: Series()})
            outcomes[outcome == "ok"].merge(series)
    return found


def _of_provider(name: str, models: dict[tuple[str, str], _Outcomes]) -> list[_Outcomes]:
    return [outcomes for (provider, _), outcomes in models.items() if provider == name]


def _sums(listed: list[_Outcomes]) -> dict[str, Any]:
    """Give the numbers of some models together."""
    good, all_of_them = Series(), Series()
    for outcomes in listed:
        good.merge(outcomes[True])
        all_of_them.merge(outcomes[True])
        all_of_them.merge(outcomes[False])
    numbers = dict(zip(Series.NAMES, all_of_them.numbers, strict=True))
    requests = numbers["requests"]
    return {
        "requests": requests,
        "failed": requests - good.numbers[0],
        "input_tokens": numbers["input_tokens"],
        "output_tokens": numbers["output_tokens"],
        "cost_usd": numbers["cost_usd"],
        "mean_ms": round(1000 * numbers["duration_s"] / requests) if requests else None,
        "p95_ms": _bound_ms(all_of_them.durations),
    }


def _bound_ms(counts: list[float]) -> int | None:
    """Give the bound below which `_SHARE` of the requests ended; None for none, or beyond the last."""
    left = _SHARE * sum(counts)
    if not left:
        return None
    for bound_s, count in zip(DURATION_BUCKETS_S, counts, strict=False):
        left -= count
        if left <= 0:
            return round(1000 * bound_s)
    return None


def _file(name: str, visit: Visit) -> Answer:
    return Answer(200, _read(name), _KINDS[name], _GUARDED + id_field(visit))


@cache
def _read(name: str) -> bytes:
    from importlib.resources import files

    return (files("faultmaven.gateway") / "dashboard_files" / name).read_bytes()
