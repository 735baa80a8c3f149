"""Events reach every listener, and a listener's fault reaches nobody."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from faultmaven.infrastructure.llm.events import (
    CallFinished,
    has_listeners,
    publish,
    subscribe,
)


def test_publish_tells_every_listener_until_it_leaves():
    first: list[object] = []
    second: list[object] = []
    leave_first, leave_second = subscribe(first.append), subscribe(second.append)
    event = CallFinished("groq", "m", cost_usd=None)

    publish(event)
    leave_first()
    leave_first()
    publish(event)
    leave_second()
    publish(event)

    assert (len(first), len(second)) == (1, 2)
    assert not has_listeners()


def test_same_listener_may_subscribe_twice():
    heard: list[object] = []
    leaves = [subscribe(heard.append), subscribe(heard.append)]

    leaves[0]()
    publish(CallFinished("groq", None, "ServerError"))
    leaves[1]()

    assert len(heard) == 1


def test_a_failing_listener_is_logged_and_stops_nobody(caplog):
    heard: list[object] = []

    def fail(event: object) -> None:
        raise ValueError("broken sink")

    leaves = [subscribe(fail), subscribe(heard.append)]
    with caplog.at_level(logging.ERROR):
        publish(CallFinished("groq", "m", "ServerError"))
    for leave in leaves:
        leave()

    assert len(heard) == 1
    assert "a listener failed on CallFinished" in caplog.text


def test_events_are_frozen():
    event = CallFinished("groq", "m")

    with pytest.raises(dataclasses.FrozenInstanceError):
        event.outcome = "changed"  # type: ignore[misc]
