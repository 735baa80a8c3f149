"""Every way in which the fake upstream can answer; importing this fills the table."""

from __future__ import annotations

from faultmaven.testing.faults import bodies, connections, meanings, statuses, streams, timing
from faultmaven.testing.faults.registry import FAULTS, Fault, UnknownFaultError, find_fault

__all__ = [
    "FAULTS",
    "Fault",
    "UnknownFaultError",
    "bodies",
    "connections",
    "find_fault",
    "meanings",
    "statuses",
    "streams",
    "timing",
]
