"""`faultmaven smoke` against the real `faultmaven serve`, and against nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faultmaven.cli.providers_new import make_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from faultmaven.testing import FakeUpstream
    from tests.cli.conftest import FaultMaven

KEY = "gk-smoke-0123456789"


@pytest.fixture
def serve(start: Callable[..., Popen[Any]]) -> Callable[..., str]:
    """Start a gateway; give its address."""

    def begin(env: dict[str, str], *arguments: str) -> str:
        process = start("serve", "--port", "0", *arguments, env=env)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"listens on (http://\S+?)[,;]", line.decode()):
                return found[1]
        raise AssertionError(process.wait())

    return begin


def test_three_calls_are_ok(
    faultmaven: FaultMaven, serve: Callable[..., str], local: dict[str, str]
) -> None:
    keys = {"FAULTMAVEN_GATEWAY_KEYS": KEY}
    url = serve(local | keys)

    done = faultmaven("smoke", url, env=keys)

    bare = faultmaven("smoke", url.removeprefix("http://") + "/", env=keys)

    for run in (done, bare):
        assert (run.returncode, run.stdout) == (0, "OK /health\nOK /models\nOK /chat\n"), (
            run.stderr
        )


def test_what_fails_is_named(
    faultmaven: FaultMaven,
    serve: Callable[..., str],
    local: dict[str, str],
    upstream: FakeUpstream,
) -> None:
    url = serve(local)
    upstream.mode("status:500")

    done = faultmaven("smoke", url)

    assert done.returncode == 1
    assert "FAILED /chat: HTTP 502" in done.stdout


def test_wrong_key_and_nobody_there_fail(
    faultmaven: FaultMaven, serve: Callable[..., str], local: dict[str, str]
) -> None:
    url = serve(local | {"FAULTMAVEN_GATEWAY_KEYS": KEY})

    refused = faultmaven("smoke", url, "--key", "wrong")
    nobody = faultmaven("smoke", "http://127.0.0.1:9")  # the port of a service that is gone

    assert refused.returncode == nobody.returncode == 1
    assert "FAILED /models: HTTP 401" in refused.stdout
    assert nobody.stdout.count("FAILED") == 3


def test_a_providers_own_file_is_served_and_smokes(
    faultmaven: FaultMaven, serve: Callable[..., str], upstream: FakeUpstream, tmp_path: Any
) -> None:
    (tmp_path / "x.yaml").write_text(
        f"name: ollama\napi_base: {upstream.url}\ndefault_model: llama3.2\n"
        "models: [llama3.2, mistral]\n"
    )
    url = serve({"CONFIG_PATH": "x.yaml", "PROVIDER_TYPE": "ollama"})

    done = faultmaven("smoke", url)

    assert (done.returncode, done.stdout.count("OK")) == (0, 3), done.stdout + done.stderr
    assert upstream.last_request.path == "/api/chat"
    assert upstream.last_request.json["model"] == "llama3.2"


def test_a_copied_template_and_one_file_are_a_provider(
    faultmaven: FaultMaven,
    serve: Callable[..., str],
    upstream: FakeUpstream,
    tmp_path: Path,
    root: Path,
) -> None:
    template = root / "examples" / "provider_template"
    code = (template / "template_provider.py").read_text()
    (tmp_path / "house_provider.py").write_text(code)
    (tmp_path / "config").mkdir()
    described = (template / "provider.yaml.example").read_text()
    (tmp_path / "config" / "house.yaml").write_text(
        described.replace("https://api.example.com/v1", upstream.base_url)
    )
    (tmp_path / "config" / "instance.yaml").write_text("api_key: sk-of-the-instance\n")
    before = sorted(tmp_path.rglob("*"))
    url = serve({"CONFIG_PATH": "config/house.yaml", "PROVIDER_TYPE": "house"})

    done = faultmaven("smoke", url)

    assert (done.returncode, done.stdout.count("OK")) == (0, 3), done.stdout + done.stderr
    assert upstream.last_request.headers["authorization"] == "Bearer sk-of-the-instance"
    assert upstream.last_request.json["model"] == "model-1"
    assert [p for p in sorted(tmp_path.rglob("*")) if "__pycache__" not in p.parts] == before


def test_the_template_is_what_the_command_writes(root: Path) -> None:
    template = root / "examples" / "provider_template" / "template_provider.py"

    written = make_files("template", "https://api.example.com/v1", "model-1")

    assert template.read_text() == written[Path("template_provider.py")]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({"PROVIDER_TYPE": "nonsense"}, "anthropic", id="unknown-type"),
        pytest.param({"CONFIG_PATH": "missing.yaml"}, "missing.yaml", id="missing-file"),
    ],
)
def test_what_cannot_be_served_stops_the_start(
    faultmaven: FaultMaven, variables: dict[str, str], said: str
) -> None:
    done = faultmaven("serve", "--port", "0", env=variables)

    assert done.returncode == 2
    assert said in done.stderr
