"""What deploy/ says, held against the program: options, paths, variables, and who may do what."""

from __future__ import annotations

import configparser
import copy
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from faultmaven.cli.serve import serve
from faultmaven.config.fields import FIELDS
from faultmaven.config.settings import load_settings
from faultmaven.gateway.options import DEFAULT_PORT, GatewayOptions
from faultmaven.gateway.run import make_gateway
from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

if TYPE_CHECKING:
    from pathlib import Path

SECRET_NAME = re.compile(r"KEY|PASSWORD|SECRET|TOKEN")
FROM_OUTSIDE = re.compile(r"\$\{\w+(:[?-][^}]*)?\}")


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "deploy"


@pytest.fixture(scope="module")
def open_paths() -> set[str]:
    """The gateway's paths that need no key."""
    settings = load_settings(CHAT_PROVIDER="echo")
    gateway = make_gateway(ProviderRegistry(settings), GatewayOptions.of(settings))
    return {path for path, route in gateway.routes.by_path().items() if route.access == "open"}


def check_command(words: list[str]) -> dict[str, Any]:
    """Parse what is started as click would; give the options."""
    assert words[0] == "serve"
    command = copy.copy(serve)  # a command keeps what its first context says of --help
    parser = command.make_parser(click.Context(command))
    values, left, _ = parser.parse_args(words[1:])
    assert left == []
    return dict(values)


def instructions(text: str) -> list[tuple[str, str]]:
    """Give a Dockerfile's instructions, continued lines joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


@pytest.fixture(scope="module")
def stages(deploy):
    """The instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions((deploy / "Dockerfile").read_text()):
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


@pytest.fixture(scope="module")
def services(deploy):
    return yaml.safe_load((deploy / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def text(deploy):
    return (deploy / "faultmaven.service").read_text()


@pytest.fixture(scope="module")
def service(text):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as documented
    parser.read_string(text)
    return dict(parser["Service"])


@pytest.fixture(scope="module")
def chart(deploy):
    return deploy / "helm" / "faultmaven"


@pytest.fixture(scope="module")
def values(chart):
    return yaml.safe_load((chart / "values.yaml").read_text())


@pytest.fixture(scope="module")
def deployment(chart):
    """The deployment as YAML: blocks of control left out, values filled in by a word."""
    return yaml.safe_load(plain((chart / "templates" / "deployment.yaml").read_text()))


class TestDockerfile:
    def test_what_runs_is_nobody_special(self, stages):
        users = [rest for name, rest in stages[-1] if name == "USER"]

        assert users == ["10001"]
        assert not any("chmod" in rest or "sudo" in rest for _, rest in stages[-1])

    def test_it_serves_with_options_that_there_are(self, stages, open_paths):
        last = dict(stages[-1])
        options = check_command(yaml.safe_load(last["CMD"]))
        health = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", last["HEALTHCHECK"])

        assert options["host"] == "0.0.0.0"  # a container's own network
        assert str(options["port"]) == last["EXPOSE"] == health[1] == str(DEFAULT_PORT)
        assert health[2] in open_paths
        assert yaml.safe_load(last["ENTRYPOINT"]) == ["faultmaven"]

    def test_no_secret_goes_into_the_image(self, stages, deploy):
        names = [rest for stage in stages for name, rest in stage if name in ("ENV", "ARG")]
        kept_out = (deploy / "Dockerfile.dockerignore").read_text().splitlines()

        assert not any(SECRET_NAME.search(rest) for rest in names)
        assert kept_out[1] == "*"
        assert not [line for line in kept_out if line.startswith("!.") or "tests" in line]

    def test_what_is_copied_is_what_a_build_needs(self, root, deploy):
        kept = re.findall(
            r"^!(\S+)", (deploy / "Dockerfile.dockerignore").read_text(), re.MULTILINE
        )

        assert set(kept) >= {"faultmaven", "schemas", "pyproject.toml", "README.md", "LICENSE"}
        assert all((root / name).exists() for name in kept)


class TestCompose:
    def test_the_gateway_may_do_little(self, services):
        gateway = services["gateway"]

        assert gateway["read_only"] is True
        assert gateway["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in gateway["security_opt"]
        assert all(port.startswith("127.0.0.1:") for port in gateway["ports"])
        assert "privileged" not in gateway
        assert [volume for volume in gateway["volumes"] if not volume.endswith(":ro")] == [
            "data:/data"
        ]

    def test_it_serves_with_options_that_there_are(self, services):
        gateway = services["gateway"]
        port = check_command(gateway["command"])["port"]

        assert gateway["ports"] == [f"127.0.0.1:{port}:{port}"]

    def test_its_variables_are_read_and_its_secrets_come_from_outside(self, services):
        known = {field.name for field in FIELDS}
        for service in services.values():
            for name, value in service.get("environment", {}).items():
                if SECRET_NAME.search(name):
                    assert FROM_OUTSIDE.fullmatch(value), name
        assert services["gateway"]["environment"].keys() <= known

    def test_what_the_gateway_does_not_use_starts_only_when_asked_for(self, services):
        others = {name: rest for name, rest in services.items() if name != "gateway"}

        assert others.keys() == {"postgres", "valkey"}
        assert all(service["profiles"] == ["shared-state"] for service in others.values())
        assert all("ports" not in service for service in others.values())
        assert "depends_on" not in services["gateway"]


class TestUnit:
    def test_it_serves_with_options_that_there_are(self, service):
        started = shlex.split(service["ExecStart"])
        checked = shlex.split(service["ExecStartPre"])

        assert started[0] == checked[0]
        assert check_command(started[1:])["config"] == check_command(checked[1:])["config"]
        assert check_command(checked[1:])["check"] is True

    def test_it_may_do_little(self, service):
        assert service["DynamicUser"] == "yes"
        assert service["CapabilityBoundingSet"] == ""
        assert service["NoNewPrivileges"] == "yes"
        assert service["ProtectSystem"] == "strict"
        assert service["UMask"] == "0077"

    def test_it_waits_for_the_gateway_to_drain(self, service):
        settings = load_settings(CHAT_PROVIDER="echo")

        assert float(service["TimeoutStopSec"]) > GatewayOptions.of(settings).drain_s + 5

    def test_no_secret_is_in_it(self, text):
        environment = re.findall(r"^Environment=(.*)", text, re.MULTILINE)

        assert not any(SECRET_NAME.search(line) for line in environment)
        assert re.search(r"^EnvironmentFile=/etc/", text, re.MULTILINE)

    def test_systemd_finds_nothing_wrong(self, text, tmp_path):
        if shutil.which("systemd-analyze") is None:
            pytest.skip("there is no systemd-analyze")
        unit = tmp_path / "faultmaven.service"
        # It looks whether the program is there.
        unit.write_text(text.replace("/opt/faultmaven/bin/faultmaven", "/bin/true"))

        done = subprocess.run(
            ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stderr
        assert "faultmaven.service" not in done.stderr


class TestChart:
    @pytest.mark.parametrize("name", ["deployment", "service", "configmap"])
    def test_templates_are_yaml_and_their_blocks_are_closed(self, chart, name):
        text = (chart / "templates" / f"{name}.yaml").read_text()
        found = yaml.safe_load(plain(text))

        assert {"apiVersion", "kind", "metadata"} <= found.keys()
        assert text.count("{{") == text.count("}}")
        openers = re.findall(r"{{-? (?:if|with|range) ", text)
        assert len(openers) == len(re.findall(r"{{-? end ", text))

    def test_values_are_used_and_those_that_are_used_exist(self, chart, values):
        templates = "".join(path.read_text() for path in (chart / "templates").iterdir())
        used = set(re.findall(r"\.Values\.(\w+)", templates))

        assert used == values.keys()

    def test_a_pod_may_do_little(self, deployment):
        pod = deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]

        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_it_serves_with_options_that_there_are(self, deployment, open_paths):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        words = [str(word).replace("VALUE", "8080") for word in container["args"]]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}

        assert check_command(words)["config"].rpartition("/")[0] in mounts
        for probe in ("readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] in open_paths
            assert container[probe]["httpGet"]["port"] == container["ports"][0]["name"]

    def test_secrets_come_from_a_secret(self, chart, values, deployment):
        container = deployment["spec"]["template"]["spec"]["containers"][0]

        assert container["envFrom"] == [{"secretRef": {"name": "VALUE"}}]
        assert values["existingSecret"] == ""
        assert values["extraEnv"] == []
        assert "kind: Secret" not in "".join(
            path.read_text() for path in (chart / "templates").iterdir()
        )

    def test_the_image_runs_as_the_user_that_the_pod_wants(self, deploy, deployment):
        pod = deployment["spec"]["template"]["spec"]

        assert f"USER {pod['securityContext']['runAsUser']}" in (deploy / "Dockerfile").read_text()

    def test_the_port_is_the_documented_one(self, values):
        assert values["port"] == DEFAULT_PORT


def plain(template: str) -> str:
    """Write a template as YAML: what is included from values is left out, each value is VALUE."""
    lines = [line for line in template.splitlines() if not re.fullmatch(r"\s*{{.*}}", line)]
    without = [re.sub(r"{{- toYaml .*}}", "", line) for line in lines]
    return "\n".join(re.sub(r"{{.*?}}", "VALUE", line) for line in without)
