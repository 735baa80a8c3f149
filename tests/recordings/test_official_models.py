"""What the gateway makes of recordings of other dialects, held against the official clients' own models.

The clients themselves do not validate what they get; strictly read, their models say what an API promises.
"""

from __future__ import annotations

import asyncio
import json
from itertools import chain
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from tests.clients.installed import need
from tests.infrastructure.llm.wire.dialect_checks import FOLDER, stream_bytes
from tests.recordings.asked import FRONTS, Case, Front, cases
from tests.recordings.test_replay import SPEAKERS
from tests.recordings.told import events_of

need("openai")
need("anthropic")
need("google.genai")

from anthropic.types import Message, RawMessageStreamEvent  # noqa: E402  # after need
from google.genai.types import GenerateContentResponse  # noqa: E402
from openai.types.chat import ChatCompletion, ChatCompletionChunk  # noqa: E402
from openai.types.responses import Response, ResponseStreamEvent  # noqa: E402

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not FOLDER, reason="FAULTMAVEN_RECORDINGS is not set"),
]


def by_type(union: Any) -> dict[str, Any]:
    """Give the models of a union of events by their `type`."""
    models = get_args(get_args(union)[0])
    return {kind: m for m in models for kind in get_args(m.model_fields["type"].annotation)}


# Whose picture was cut short when it was recorded, so that it is no base64 any more.
CUT_PICTURES = {"openai.openai-responses.server-tools-stream.100acc4dcd"}
WHOLE = {
    "chat": ChatCompletion,
    "responses": Response,
    "messages": Message,
    "gemini": GenerateContentResponse,
}
EVENTS = {
    "responses": by_type(ResponseStreamEvent),
    "messages": by_type(RawMessageStreamEvent),
}
PIECES = {"chat": ChatCompletionChunk, "gemini": GenerateContentResponse}


def complaints(name: str, text: str, *, is_stream: bool) -> list[str]:
    """Read an answer by the models; give what they do not take."""
    if not is_stream:
        return _complaint(WHOLE[name], json.loads(text))
    found = []
    for _, event in events_of(text):
        if event == "[DONE]" or event.get("error"):
            continue
        model = PIECES.get(name) or EVENTS[name].get(event["type"])
        found += _complaint(model, event) if model else [f"{event['type']} is no event"]
    return found


def _complaint(model: Any, data: Any) -> list[str]:
    try:
        model.model_validate(data)
    except ValidationError as error:
        # Its model has a list of codes for what fails; what it was asked for has more of them.
        places = [".".join(map(str, wrong["loc"])) for wrong in error.errors()]
        return [] if places == ["response.error.code"] else [f"{model.__name__}: {error}"]
    return []


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("dialect", SPEAKERS)
async def test_an_answer_is_one_to_the_official_models(client, dialect, name):
    front: Front = FRONTS[name]
    if dialect in front.relays:
        pytest.skip("the bytes are the provider's own")

    async def judge(case: Case) -> list[str]:
        is_stream = stream_bytes(case.exchange) is not None
        status, _, text = await client.ask(front, case, stream=is_stream)
        if status != 200 or case.exchange["id"] in CUT_PICTURES:
            return []
        return [f"{case.exchange['id']}: {c}" for c in complaints(name, text, is_stream=is_stream)]

    found = await asyncio.gather(*map(judge, cases("response", dialect)))

    wrong = [*chain.from_iterable(found)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)
