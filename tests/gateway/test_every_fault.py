"""What holds for every fault that the fake upstream knows, in every lane, whole and streamed.

The answer is strict JSON in the client's own API, or a stream that says how it ended; the tries are told
as they were; there is one record; and no key is anywhere, with logging at DEBUG.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from faultmaven.testing import FakeUpstream
from tests.gateway.conftest import KEY, UPSTREAM_KEY
from tests.gateway.lanes import LANES, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.infrastructure.llm.events import CallFinished

ADMIN_KEY = "adm-canary-0123456789abcdef"
PROMPT = "sk-canary-prompt-0123456789"
CANARIES = (KEY, UPSTREAM_KEY, ADMIN_KEY, PROMPT)
FILE = f"""
gateway: {{admin_keys: [{ADMIN_KEY}], request_timeout_s: 1}}
providers:
  openai: {{base: openai, timeout: 0.3}}
  anthropic: {{base: anthropic, timeout: 0.3}}
"""
# What stands for the words in capitals of a fault's usage.
ARGUMENTS = {
    "N": "3", "MS": "5", "KB": "64", "MB": "1", "BYTES": "2000", "CODE": "503", "KIND": "null",
    "FAULT": "status:503", "HEADER=VALUE": "retry-after=0", "TYPE": "application/pdf",
}  # fmt: skip
SPECIAL = {
    "deep-json:N": "deep-json:100000",
    "endless-line:MB": "endless-line:2",
    "flood:N:BYTES": "flood:20:2000",
    "gzip-bomb:MB": "gzip-bomb:32",
    "hold": "ok",  # it waits for a word of the test
    "many-headers:N": "many-headers:1000",
    "redirect:CODE": "redirect:307",
}
STATUSES = {400, 404, 413, 422, 429, 502, 503, 504}


def specs() -> list[str]:
    found = []
    for usage in FakeUpstream.faults():
        name, *words = usage.split(":")
        found.append(SPECIAL.get(usage) or ":".join([name, *(ARGUMENTS[word] for word in words)]))
    return sorted(set(found))


@dataclass
class Outcome:
    """What one question came to."""

    lane: Lane
    stream: bool
    status: int
    headers: Mapping[str, str]
    text: str
    asked: int
    records: list[CallFinished]

    def check(self) -> None:
        (record,) = self.records
        assert record.status == self.status
        assert self.headers["x-request-id"]
        assert self.headers["x-content-type-options"] == "nosniff"
        assert int(self.headers["x-faultmaven-attempts"]) == self.asked == record.attempts
        if self.status != 200:
            self._check_error(record)
        elif self.stream:
            self._check_stream(record)
        else:
            assert json.loads(self.text, parse_constant=refuse)
            assert record.outcome == "ok"

    def _check_error(self, record: CallFinished) -> None:
        assert self.status in STATUSES
        error = self.lane.error_of(json.loads(self.text))
        assert 0 < len(error["message"]) <= 2100
        assert len(self.text) < 4096
        assert record.outcome not in ("ok", "incomplete", "cancelled")
        if self.status >= 500 or self.status == 429:
            assert self.headers["x-should-retry"] == "false"
        if self.status == 503:
            assert int(self.headers["retry-after"]) > 0

    def _check_stream(self, record: CallFinished) -> None:
        for event in self.lane.events(self.text):
            json.loads(event, parse_constant=refuse)
        if self.lane.broken_by(self.text) is None:
            assert self.lane.ends(self.text) == 1
            assert record.outcome == "ok"
        else:
            assert self.lane.ends(self.text) == 0
            assert record.outcome != "ok"


def refuse(name: str) -> None:
    pytest.fail(f"{name} is not JSON")


@pytest.mark.parametrize("spec", specs())
async def test_every_fault_ends_well(start, upstream, records, caplog, capfd, spec):
    caplog.set_level(logging.DEBUG)
    shown = ""
    async with start(FILE, LLM_MAX_RETRIES="0") as client:
        for lane in LANES.values():
            for stream in (False, True):
                outcome = await ask(client, upstream, lane, spec, records, stream=stream)
                outcome.check()
                shown += outcome.text + repr(dict(outcome.headers))
        async with client.get("/metrics", Authorization=f"Bearer {ADMIN_KEY}") as reply:
            assert reply.status == 200
            metrics = await reply.text()

    everything = shown + metrics + caplog.text + repr(records) + "".join(capfd.readouterr())
    everything += repr([client.gateway.options, vars(client.gateway.options.keys)])
    assert not [canary for canary in CANARIES if canary in everything]
    assert "127.0.0.1" not in shown
    assert len(caplog.records) > 0
    assert UPSTREAM_KEY in str(upstream.requests[0].headers)


async def ask(client, upstream, lane, spec, records, *, stream) -> Outcome:
    records.clear()
    before = len(upstream.requests)
    messages = [{"role": "user", "content": f"Is {PROMPT} safe?"}]
    async with client.post(lane.path, lane.body(spec, stream=stream, messages=messages)) as reply:
        text = await reply.text()
    return Outcome(
        lane,
        stream,
        reply.status,
        reply.headers,
        text,
        len(upstream.requests) - before,
        list(records),
    )
