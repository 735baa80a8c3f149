"""For authors of providers: a server to test against that can fail in every way there is."""

from __future__ import annotations

from faultmaven.testing.answers import Reply, TokenUsage, ToolUse
from faultmaven.testing.journal import RecordedRequest
from faultmaven.testing.upstream import FakeUpstream

__all__ = ["FakeUpstream", "RecordedRequest", "Reply", "TokenUsage", "ToolUse"]
