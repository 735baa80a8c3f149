"""What every client must get from every provider: each Python client through each dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.testing import Reply, TokenUsage
from tests.clients.questions import DOCUMENT_DATA, IMAGE_DATA, TWO_CALLS
from tests.clients.speakers import SPEAKERS
from tests.clients.thoughts import THOUGHT, signatures_in, signatures_wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

STOPS = ["stop", "length", "content_filter"]

each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@pytest.fixture(params=SPEAKERS)
def speaker(request, gateway) -> Iterator[Any]:
    made = SPEAKERS[request.param](gateway)
    yield made
    made.close()


@each_way
@pytest.mark.parametrize("reason", STOPS)
def test_why_an_answer_ended_is_said_in_the_clients_words(
    speaker, upstream, model, reason, streamed
):
    upstream.mode(Reply("One two", finish_reason=reason))

    said = speaker.ask(model, streamed=streamed)

    assert said.text == "One two"
    assert said.stop == speaker.stops[STOPS.index(reason)]


@each_way
def test_cached_tokens_are_counted_within_the_prompt(speaker, upstream, model, streamed):
    upstream.reply("Hello.", usage=TokenUsage(30, 7, cache_read_tokens=20))

    said = speaker.ask(model, streamed=streamed)

    assert (said.input_tokens, said.cached_tokens, said.output_tokens) == (30, 20, 7)


@each_way
def test_tools_go_round_with_what_was_thought(speaker, upstream, model, streamed):
    upstream.script([Reply(tool_calls=TWO_CALLS, reasoning=THOUGHT), Reply("Sunny in both.")])

    cities, answer = speaker.call_tools(model, streamed=streamed)

    assert cities == ["Paris", "Oslo"]
    assert answer == "Sunny in both."
    sent = upstream.last_request
    assert sent.body.count(b"sunny") == 2
    assert signatures_in(sent) == signatures_wanted(model)


def test_an_image_and_a_document_arrive(speaker, upstream, model):
    upstream.reply("A dot.")

    assert speaker.show_files(model) == "A dot."
    assert IMAGE_DATA.encode() in upstream.last_request.body
    assert DOCUMENT_DATA.encode() in upstream.last_request.body


@each_way
def test_data_has_its_shape(speaker, upstream, model, streamed):
    upstream.reply('{"answer": 42}')

    assert speaker.ask_for_data(model, streamed=streamed) == {"answer": 42}
    assert b'"answer"' in upstream.last_request.body


@each_way
@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("status:400", 400), ("status:429", 429), ("status:500", 502), ("status:503", 503)],
)
def test_an_error_has_its_status(speaker, upstream, model, behaviour, status, streamed):
    upstream.mode(behaviour)

    with pytest.raises(speaker.error) as caught:
        speaker.ask(model, streamed=streamed)

    assert speaker.status_of(caught.value) == status


@each_way
def test_a_model_that_the_provider_lacks_is_not_found(speaker, upstream, model, streamed):
    upstream.mode("status:404")

    with pytest.raises(speaker.not_found) as caught:
        speaker.ask(model, streamed=streamed)

    assert speaker.status_of(caught.value) == 404


@pytest.mark.parametrize("fault", ["reset-mid-stream:4", "close-mid-stream:4"])
def test_a_stream_that_breaks_is_no_answer(speaker, upstream, model, fault):
    upstream.mode(fault)

    with pytest.raises(speaker.error):
        speaker.ask(model, streamed=True)


def test_a_client_that_leaves_ends_the_providers_work(speaker, upstream, model):
    upstream.mode("hold")

    with speaker.begun(model):
        assert not upstream.abandoned()

    upstream.when(lambda: len(upstream.abandoned()) == 1).result(timeout=60)
