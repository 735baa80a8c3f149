"""Whatever the document at /openapi.json allows, and what it does not, gets an answer that it names."""

from __future__ import annotations

import pytest

from faultmaven.gateway.specification import make_specification
from tests.clients.installed import need

schemathesis = need("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402  # after need
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
]
# What takes nothing cannot be asked wrongly.
CASES = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
    for path, described in make_specification()["paths"].items()
    for method, operation in described.items()
    for mode in GenerationMode
    if method in {"delete", "get", "post", "put"}
    and not path.startswith("/v1/models/{model}:")  # the same pages as under /v1beta
    and (mode is GenerationMode.POSITIVE or operation.keys() & {"parameters", "requestBody"})
]


@pytest.fixture(scope="module")
def document(gateway):
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_answers_are_those_of_the_document(document, gateway, upstream, path, method, mode):
    operation = document[path][method]

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        if mode is GenerationMode.POSITIVE:
            # A deadline of an instant is allowed, and 504 is the answer to it.
            case.headers.pop("x-request-timeout", None)
        case.call_and_validate(
            headers={"Authorization": f"Bearer {gateway.key}"}, checks=CHECKS, timeout=60
        )

    ask()
