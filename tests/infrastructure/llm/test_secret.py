"""Secrets do not show, and what leaves the process has none."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from faultmaven.infrastructure.llm.secret import (
    REDACTED_LOGGERS,
    RedactingFilter,
    Secret,
    install_log_redaction,
    redact,
    remember_secret,
)
from tests.growth import MOST, Growth

CANARY = 'canary/ä+"4711'


@pytest.fixture
def redacted_logs():
    """Logs of all redacted loggers as text, with the process's logging put back afterwards."""
    factory = logging.getLogRecordFactory()
    filters = {name: list(logging.getLogger(name).filters) for name in REDACTED_LOGGERS}
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(handler)
    install_log_redaction()
    install_log_redaction()
    yield stream
    root.removeHandler(handler)
    logging.setLogRecordFactory(factory)
    for name, before in filters.items():
        logging.getLogger(name).filters[:] = before


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        lambda s: f"{s}",
        lambda s: f"{s!r:>30}",
        "{}".format,
        lambda s: "Bearer " + s,
        json.dumps,
        lambda s: json.dumps({"key": s, s: 1}),
        lambda s: pickle.dumps(s).decode("latin-1"),
        lambda s: str(copy.copy(s)) + repr(copy.deepcopy([s])),
        lambda s: str(vars(type(s)).get("_value")) + "".join(s) + s[:5] + s.upper(),
    ],
)
def test_secret_shows_its_mask(show):
    shown = show(Secret(CANARY))

    assert "4711" not in shown


def test_secret_reveals_compares_and_survives_a_copy():
    secret = Secret(CANARY)

    assert secret.reveal() == CANARY
    assert copy.deepcopy(secret).reveal() == CANARY
    assert Secret(secret).reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != Secret("another-secret")
    assert secret != "***"
    assert len({secret, Secret(CANARY)}) == 1
    assert pickle.loads(pickle.dumps(secret)).reveal() == "***"


def test_empty_secret_is_false():
    assert not Secret("")
    assert Secret("x")
    assert repr(Secret("")) == "Secret('')"


@pytest.mark.parametrize(
    "form",
    [
        lambda s: s,
        lambda s: quote(s, safe=""),
        json.dumps,
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.b64encode(b"u:" + s.encode() + b"!").decode(),
        lambda s: base64.b64encode(b"us:" + s.encode() + b"??").decode(),
        lambda s: base64.urlsafe_b64encode(b"use:" + s.encode()).decode(),
    ],
)
def test_redact_removes_registered_values_in_their_forms(form):
    remember_secret(CANARY)

    redacted = redact(f"before {form(CANARY)} after")

    assert "4711" not in redacted
    assert base64.b64encode(CANARY.encode())[4:12].decode() not in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key sk-ant-api03-abcDEF123_-x.", "key [redacted]."),
        ("Incorrect API key provided: sk-abc***********wxyz.", "Incorrect API key provided: [redacted]."),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[redacted]"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer [redacted]"),
        ("https://x/y?key=abc123&z=1", "https://x/y?key=[redacted]&z=1"),
        ("api_key=abc123, next", "api_key=[redacted], next"),
        ('{"api_key": "abcdefghij", "a": 1}', '{"api_key": "[redacted]", "a": 1}'),
        ("x-api-key: abcdefghij", "x-api-key: [redacted]"),
        ("set GROQ_API_KEY: it is missing", "set GROQ_API_KEY: it is missing"),
        ("a task-oriented-benchmark of scikit-learn", "a task-oriented-benchmark of scikit-learn"),
        ("max_tokens=1000", "max_tokens=1000"),
    ],
)  # fmt: skip
def test_redact_removes_what_looks_like_a_key(text, expected):
    assert redact(text) == expected
    assert redact(expected) == expected


def test_short_values_are_not_registered():
    remember_secret("openai")

    assert redact("openai says no") == "openai says no"


@given(st.text(max_size=100))
def test_redact_takes_any_text(text):
    redact(text)


@pytest.mark.parametrize(
    "piece",
    ["sk-", "sk-a ", "Bearer ", "Bearer  ", "key=", "api_key: ", 'api_key":"', "AIza", "a", "s", " "],
)  # fmt: skip
def test_redact_is_linear(piece):
    growth = Growth()
    for times in growth.rounds():
        text = piece * (50_000 // len(piece)) * times
        with growth.of(times):
            redact(text)

    assert growth.factor < MOST


def test_logs_of_children_are_redacted(redacted_logs):
    remember_secret(CANARY)
    log = logging.getLogger("faultmaven.gateway.deep")

    log.warning("a %s b", CANARY)
    log.warning("plain %s", "text")
    log.warning("wrong %d arguments", CANARY)
    try:
        int(CANARY)
    except ValueError:
        log.exception("failed")
    log.warning("with stack %s", CANARY, stack_info=True)

    text = redacted_logs.getvalue()
    assert "4711" not in text
    assert "a [redacted] b" in text
    assert "plain text" in text
    assert "Traceback" in text


@pytest.mark.parametrize("name", REDACTED_LOGGERS)
def test_logs_of_named_loggers_are_redacted(redacted_logs, name):
    logging.getLogger(name).error("Authorization: Bearer sk-canary-12345678")

    assert "Bearer [redacted]" in redacted_logs.getvalue()
    assert "canary" not in redacted_logs.getvalue()


def test_logs_of_others_are_left_alone(redacted_logs):
    logging.getLogger("somebody.else").warning("key=abc123")

    assert "key=abc123" in redacted_logs.getvalue()


def test_filter_redacts_extra_fields_and_keeps_good_tracebacks():
    remember_secret(CANARY)
    record = logging.makeLogRecord({"msg": "hello %s", "args": ("you",), "header": f"x {CANARY}"})
    error = KeyError("harmless")
    record.exc_info = (KeyError, error, None)

    assert RedactingFilter().filter(record)

    assert record.__dict__["header"] == "x [redacted]"
    assert record.args == ("you",)
    assert record.exc_info is not None


def test_records_without_a_logger_can_be_made():
    install_log_redaction()

    record = logging.makeLogRecord({"msg": f"x {CANARY}"})

    assert record.getMessage() == f"x {CANARY}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nfaked line", "a\\nfaked line"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\u2028\u202e", "\\u2028\\u202e"),
        ("\U000e0001", "\\udb40\\udc01"),
        ("Grüße, 日本語 \U0001f600", "Grüße, 日本語 \U0001f600"),
    ],
)
def test_a_log_message_is_one_line(text, shown, caplog):
    install_log_redaction()
    with caplog.at_level(logging.INFO):
        logging.getLogger("faultmaven.x").info("said %s", text)

    assert caplog.messages[-1] == f"said {shown}"
