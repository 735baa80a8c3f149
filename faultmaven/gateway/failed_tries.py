"""Failed tries to authenticate, by address: who guesses keys is slowed down."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from faultmaven.infrastructure.llm.retry import SYSTEM_CLOCK

if TYPE_CHECKING:
    from faultmaven.infrastructure.llm.retry import Clock

DEFAULT_LIMIT: Final = 10
PERIOD_S: Final = 60.0
MAX_ADDRESSES: Final = 4096
LOOPBACK: Final = ("127.", "::1", "::ffff:127.")
# An attacker has all the addresses of a network like this.
_IPV6_NETWORK_BITS: Final = 64


class FailedTries:
    """Counts what fails, each address for a minute from its first failure.

    A right key is never asked about here, so that nobody can shut out others who share his address.

    Args:
        limit: failures of an address in a minute, 0 for any number; None is `DEFAULT_LIMIT` for other
            machines, and any number for this one, behind whose address a proxy may have all clients.
        clock: the time.

    Attributes:
        limit: as above; a new one holds from then on.
    """

    __slots__ = ("_clock", "_found", "limit")

    def __init__(self, limit: int | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.limit = limit
        self._clock = clock
        # When the first failure was, and how many there were.
        self._found: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> float:
        """Count a failure; give the seconds to wait where it was one too many, else 0.0."""
        if self.limit is None and address.startswith(LOOPBACK):
            return 0.0
        name = _network(address)
        now = self._clock.monotonic()
        begun, count = self._found.pop(name, (now, 0))
        if now - begun >= PERIOD_S:
            begun, count = now, 0
        self._found[name] = begun, count + 1
        if len(self._found) > MAX_ADDRESSES:
            self._found.popitem(last=False)
        limit = DEFAULT_LIMIT if self.limit is None else self.limit
        is_over = 0 < limit <= count
        return begun + PERIOD_S - now if is_over else 0.0


def _network(address: str) -> str:
    """Give the network whose addresses are all one person's."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _IPV6_NETWORK_BITS), strict=False))
