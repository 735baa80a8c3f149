"""The commands that look at configuration, providers, prices and this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faultmaven.testing import FakeUpstream
from tests.cli.conftest import FaultMaven

KEY = "gsk_canary0123456789abcdef"
COMMANDS = [
    "chat", "completion", "config", "discover", "doctor", "env", "llm", "models", "pricing", "providers",
    "serve", "validate",
]  # fmt: skip


def test_help_lists_every_command_and_the_exit_codes(faultmaven: FaultMaven) -> None:
    run = faultmaven("--help")

    assert run.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in run.stdout] == []
    assert "130 interrupted" in run.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(faultmaven: FaultMaven, command: str) -> None:
    run = faultmaven(command, "--help")

    assert run.returncode == 0
    assert run.stdout.startswith(f"Usage: faultmaven {command}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["caht"], "Did you mean chat?"),
        (["providers", "lits"], "Did you mean list?"),
        (["xyzzy"], "Known are chat"),
    ],
)
def test_mistyped_command_gets_a_suggestion(
    faultmaven: FaultMaven, arguments: list[str], said: str
) -> None:
    run = faultmaven(*arguments)

    assert run.returncode == 2
    assert said in run.stderr


def test_singular_names_the_same_commands(faultmaven: FaultMaven) -> None:
    run = faultmaven("provider", "show", "groq")

    assert run.returncode == 0
    assert "GROQ_API_KEY" in run.stdout


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion_prints_a_script(faultmaven: FaultMaven, shell: str) -> None:
    run = faultmaven("completion", shell)

    assert run.returncode == 0
    assert "_FAULTMAVEN_COMPLETE" in run.stdout


@pytest.mark.parametrize(
    ("words", "index", "found"),
    [("faultmaven pro", "1", "providers"), ("faultmaven chat -p ech", "3", "echo")],
)
def test_completion_completes(faultmaven: FaultMaven, words: str, index: str, found: str) -> None:
    asked = {"_FAULTMAVEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": index}

    run = faultmaven(env=asked)

    assert f"plain,{found}" in run.stdout.splitlines()


def test_providers_lists_what_each_needs(faultmaven: FaultMaven) -> None:
    run = faultmaven("providers", "list", env={"GROQ_API_KEY": KEY, "CHAT_PROVIDER": "groq"})

    rows = {line.split("\t")[0]: line.split("\t") for line in run.stdout.splitlines()}
    assert rows["groq"][1] == "configured"
    assert rows["groq"][-1] == "1"
    assert rows["openai"][1] == "unconfigured"
    assert "OPENAI_API_KEY" in rows["openai"][4]
    assert KEY not in run.stdout


def test_providers_without_a_command_lists_them(faultmaven: FaultMaven) -> None:
    assert faultmaven("providers").stdout == faultmaven("providers", "list").stdout


@pytest.mark.parametrize(("group", "command"), [("providers", "list"), ("config", "show")])
def test_group_without_a_command_takes_the_usual_ones_options(
    faultmaven: FaultMaven, group: str, command: str
) -> None:
    run = faultmaven(group, "--json")

    assert run.returncode == 0
    assert json.loads(run.stdout) == json.loads(faultmaven(group, command, "--json").stdout)


def test_providers_list_gives_json(faultmaven: FaultMaven) -> None:
    run = faultmaven("providers", "list", "--configured", "--json")

    names = {row["name"]: row for row in json.loads(run.stdout)}
    assert names["echo"]["configured"] is True
    assert "openai" not in names
    assert "lm_studio" not in names


def test_providers_list_tells_servers_that_nobody_set_up(faultmaven: FaultMaven) -> None:
    run = faultmaven("providers", "list", env={"VLLM_API_BASE": "http://127.0.0.1:8000/v1"})

    state = {line.split("\t")[0]: line.split("\t")[1] for line in run.stdout.splitlines()}
    assert (state["vllm"], state["lm_studio"]) == ("configured", "not set up")


def test_providers_show_never_shows_a_key(faultmaven: FaultMaven) -> None:
    plain = faultmaven("providers", "show", "groq", env={"GROQ_API_KEY": KEY})
    as_json = faultmaven("providers", "show", "groq", "--json", env={"GROQ_API_KEY": KEY})

    assert "GROQ_API_KEY\tapi_key_var\t***\tenvironment" in plain.stdout
    variables = {v["name"]: v for v in json.loads(as_json.stdout)["variables"]}
    assert variables["GROQ_API_KEY"]["value"] == "***"
    assert KEY not in plain.stdout + as_json.stdout


def test_providers_test_tells_who_answers(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    run = faultmaven("providers", "test", "echo", "local", "openai", "--json", env=local)

    trials = {trial["provider"]: trial for trial in json.loads(run.stdout)}
    assert run.returncode == 1
    assert trials["echo"]["ok"] is True
    assert trials["local"]["ok"] is True
    assert trials["local"]["model"] == "fake-model"
    assert trials["openai"]["ok"] is False
    assert "OPENAI_API_KEY" in trials["openai"]["error"]


def test_providers_test_takes_the_chosen_ones(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    run = faultmaven("providers", "test", env=local)

    assert run.returncode == 0
    assert run.stdout.startswith("local\tok\t")
    assert len(run.stdout.splitlines()) == 1


def test_models_asks_the_provider(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    run = faultmaven("models", "--json", env=local)

    assert [row["model"] for row in json.loads(run.stdout)] == ["fake-model"]


def test_models_offline_asks_nobody(faultmaven: FaultMaven) -> None:
    run = faultmaven("models", "groq", "--offline", "--json")

    row = next(r for r in json.loads(run.stdout) if r["model"] == "llama-3.3-70b-versatile")
    assert row["input_usd_per_mtok"] == 0.59


def test_pricing_shows_rates_date_and_source(faultmaven: FaultMaven) -> None:
    run = faultmaven("pricing", "show", "groq/llama-3.3-70b-versatile", "--json")

    (price,) = json.loads(run.stdout)
    assert (price["input_usd_per_mtok"], price["output_usd_per_mtok"]) == (0.59, 0.79)
    assert price["as_of"]
    assert price["source"]


def test_prices_of_faultmaven_yaml_are_shown(faultmaven: FaultMaven, tmp_path: Path) -> None:
    model = "llama-3.3-70b-versatile"
    (tmp_path / "faultmaven.yaml").write_text(
        f"pricing:\n  groq/{model}: {{input: 10, output: 20}}\n"
    )

    (price,) = json.loads(faultmaven("pricing", "show", f"groq/{model}", "--json").stdout)
    listed = json.loads(faultmaven("models", "groq", "--offline", "--json").stdout)

    assert (price["input_usd_per_mtok"], price["output_usd_per_mtok"]) == (10, 20)
    assert [one["output_usd_per_mtok"] for one in listed if one["model"] == model] == [20]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("gorq", 2, "Did you mean groq?"), ("lmstudio", 1, "No price of lmstudio is known")],
)
def test_pricing_of_a_provider_without_prices_says_so(
    faultmaven: FaultMaven, name: str, code: int, said: str
) -> None:
    run = faultmaven("pricing", "show", "--provider", name)

    assert (run.returncode, run.stdout) == (code, "")
    assert said in run.stderr


def test_pricing_of_an_unknown_model_is_not_zero(faultmaven: FaultMaven) -> None:
    run = faultmaven("pricing", "show", "no-such-model")

    assert run.returncode == 1
    assert run.stdout == ""
    assert "unknown, not 0" in run.stderr


@pytest.mark.parametrize("command", [["validate"], ["doctor", "--offline"]])
def test_providers_folder_without_a_configuration_file_is_named(
    faultmaven: FaultMaven, tmp_path: Path, command: list[str]
) -> None:
    folder = tmp_path / "providers.d"
    folder.mkdir()
    (folder / "acme.yaml").write_text("api_base: https://acme.example/v1\n")

    alone = faultmaven(*command)
    (tmp_path / "faultmaven.yaml").write_text("{}\n")
    beside = faultmaven(*command)

    said = f"{folder} is not read" if command == ["doctor", "--offline"] else f"{folder}, which"
    assert said in alone.stdout + alone.stderr
    assert "not read" not in beside.stdout + beside.stderr
    assert alone.returncode == beside.returncode


def test_config_shows_values_and_their_sources(faultmaven: FaultMaven, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"CHAT_PROVIDER=groq\nGROQ_API_KEY={KEY}\n")
    dotenv.chmod(0o600)

    run = faultmaven("config", "show", "--json", env={"LLM_MAX_RETRIES": "1"})

    rows = {row["name"]: row for row in json.loads(run.stdout)}
    assert (rows["CHAT_PROVIDER"]["value"], rows["CHAT_PROVIDER"]["source"]) == (
        "groq",
        f"{dotenv}:1",
    )
    assert (rows["GROQ_API_KEY"]["value"], rows["GROQ_API_KEY"]["source"]) == (
        "***",
        f"{dotenv}:2",
    )
    assert rows["LLM_MAX_RETRIES"]["source"] == "environment"
    assert KEY not in run.stdout + run.stderr


def test_env_write_gives_a_file_that_check_accepts(faultmaven: FaultMaven, tmp_path: Path) -> None:
    assert faultmaven("env", "write").returncode == 0
    again = faultmaven("env", "write")
    text = (tmp_path / ".env.example").read_text()
    (tmp_path / ".env").write_text(text.replace("#CHAT_PROVIDER=groq", "CHAT_PROVIDER=echo"))

    check = faultmaven("env", "check")

    assert again.returncode == 2
    assert "--force" in again.stderr
    assert "#GROQ_API_KEY=\n" in text
    assert check.returncode == 0, check.stdout
    assert faultmaven("chat", "Hi").stdout == "Echo (no model): Hi\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "A=1\nGORQ_API_KEY=x\n",
            ".env:2: GORQ_API_KEY: is read by nobody. Did you mean GROQ_API_KEY?",
        ),
        ('A=1\nB="open\n', ".env:2: is not NAME=value"),
        ("CHAT_PROVIDER=gorq\n", "Did you mean groq?"),
        ("LLM_MAX_RETRIES=99\n", "LLM_MAX_RETRIES"),
    ],
)
def test_env_check_names_line_and_remedy(
    faultmaven: FaultMaven, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / ".env").write_text(text)

    run = faultmaven("env", "check")

    assert run.returncode == 2
    assert said in run.stdout


def test_validate_accepts_what_is_shipped(faultmaven: FaultMaven) -> None:
    run = faultmaven("validate")

    assert run.returncode == 0, run.stdout
    assert "rows" in run.stderr


def test_validate_names_every_fault_of_the_file(faultmaven: FaultMaven, tmp_path: Path) -> None:
    (tmp_path / "faultmaven.yaml").write_text(
        "providers:\n"
        "  acme:\n"
        "    default_base_url: https://acme.example/v1\n"
        "    timeuot: 30\n"
        "  other:\n"
        "    default_base_url: https://other.example/v1\n"
        "    confidence_score: 2\n"
    )

    run = faultmaven("validate", "--json")

    found = {(p["line"], p["path"]) for p in json.loads(run.stdout)["problems"]}
    assert run.returncode == 2
    assert found == {(4, "providers.acme.timeuot"), (7, "providers.other.confidence_score")}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("name: acme\napi_base: https://acme.example/v1\ndefault_model: a\nmodels: [a]\n", 0, ""),
        ("name: acme\ndefault_model: a\n", 2, "acme.yaml:1: has no api_base"),
        ("name: acme\napi_base: https://acme.example/v1\ntimeuot: 1\n", 2, "acme.yaml:3: timeuot"),
        ("name: [\n", 2, "is not YAML"),
    ],
)
def test_validate_checks_a_providers_own_file(
    faultmaven: FaultMaven, tmp_path: Path, text: str, code: int, said: str
) -> None:
    (tmp_path / "acme.yaml").write_text(text)

    run = faultmaven("validate", "acme.yaml")

    assert run.returncode == code, run.stdout
    assert said in run.stdout
    assert ("1 problem in: " in run.stderr) is (code != 0)


def test_doctor_is_content_with_a_sound_set_up(
    faultmaven: FaultMaven, upstream: FakeUpstream, local: dict[str, str]
) -> None:
    run = faultmaven("doctor", env=local)

    assert run.returncode == 0, run.stdout
    assert "ok\tlocal\tanswers" in run.stdout


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CHAT_PROVIDER": "gorq"}, "Did you mean groq?"),
        ({"CHAT_PROVIDER": "groq"}, "GROQ_API_KEY is not set. Set it in .env."),
        (
            {"CHAT_PROVIDER": "groq", "GROQ_API_KEY": "sk-canary0123456789"},
            "does not begin with gsk_",
        ),
        ({"LLM_MAX_RETRIES": "x"}, "LLM_MAX_RETRIES"),
    ],
)
def test_doctor_names_problem_and_fix(
    faultmaven: FaultMaven, env: dict[str, str], said: str
) -> None:
    run = faultmaven("doctor", "--offline", env=env)

    assert run.returncode == 1
    assert said in run.stdout
    assert "canary" not in run.stdout


@pytest.mark.parametrize(
    "command",
    [["validate"], ["validate", "faultmaven.yaml"], ["doctor", "--offline"], ["serve", "--check"]],
    ids=["validate", "validate a file", "doctor", "serve"],
)
def test_what_is_read_and_not_in_force_is_named(
    command: list[str], faultmaven: FaultMaven, tmp_path: Path
) -> None:
    (tmp_path / "faultmaven.yaml").write_text("budgets: {all: {limit_usd: 5, window: day}}\n")
    env = {"CHAT_PROVIDER": "local", "LOCAL_LLM_BASE_URL": "http://127.0.0.1:9/v1"}
    run = faultmaven(*command, env=env)

    assert run.returncode == 0, run.stderr
    assert "budgets: is read but not in force in this version" in run.stdout + run.stderr


def test_doctor_notes_what_is_not_used(faultmaven: FaultMaven) -> None:
    env = {"CHAT_PROVIDER": "echo", "GROQ_API_KEY": KEY, "HTTPS_PROXY": "http://proxy.example:1"}

    run = faultmaven("doctor", "--offline", "--json", env=env)

    notes = {
        f["subject"]: f["said"] for f in json.loads(run.stdout)["findings"] if f["level"] == "note"
    }
    assert "GROQ_API_KEY" in notes["keys"]
    assert "HTTPS_PROXY" in notes["proxies"]
    assert run.returncode == 0


def test_doctor_says_that_a_local_server_does_not_run(faultmaven: FaultMaven) -> None:
    with FakeUpstream.in_thread() as gone:
        address = gone.base_url

    run = faultmaven("doctor", env={"CHAT_PROVIDER": "local", "LOCAL_LLM_BASE_URL": address})

    assert run.returncode == 1
    assert "Is the server running at" in run.stdout


def test_doctor_says_that_a_key_is_refused(faultmaven: FaultMaven) -> None:
    with FakeUpstream.in_thread(api_keys=["another"]) as upstream:
        env = {"CHAT_PROVIDER": "groq", "GROQ_API_KEY": KEY, "GROQ_API_BASE": upstream.base_url}

        run = faultmaven("doctor", env=env)

    assert run.returncode == 1
    assert "Check the key in GROQ_API_KEY" in run.stdout
    assert KEY not in run.stdout


def test_discover_tells_a_server_by_its_answers(
    faultmaven: FaultMaven, upstream: FakeUpstream, tmp_path: Path
) -> None:
    found = faultmaven("discover", "--port", str(upstream.port))
    (tmp_path / ".env").write_text(found.stdout)

    answer = faultmaven("chat", "Hi")

    assert found.returncode == 0
    assert found.stdout.startswith(f"# Ollama at http://127.0.0.1:{upstream.port}: fake-model\n")
    assert f"OLLAMA_API_BASE=http://127.0.0.1:{upstream.port}\n" in found.stdout
    assert answer.returncode == 0, answer.stderr


def test_discover_finds_nothing(faultmaven: FaultMaven) -> None:
    with FakeUpstream.in_thread() as gone:
        port = str(gone.port)

    run = faultmaven("discover", "--port", port)

    assert run.returncode == 1
    assert port in run.stderr


@pytest.mark.parametrize(("typed", "code"), [("another\n", 0), ("wrong-key-0123\n", 1), ("\n", 2)])
def test_llm_validate_key_reads_a_key_from_the_standard_input(
    faultmaven: FaultMaven, typed: str, code: int
) -> None:
    with FakeUpstream.in_thread(api_keys=["another"]) as upstream:
        env = {"GROQ_API_BASE": upstream.base_url}

        run = faultmaven("llm", "validate-key", "groq", "--ask", stdin=typed, env=env)

    assert run.returncode == code, run.stderr
    assert typed == "\n" or typed.strip() not in run.stdout.replace("another key", "")


def test_llm_validate_key_checks_the_configured_key(faultmaven: FaultMaven) -> None:
    with FakeUpstream.in_thread(api_keys=[KEY]) as upstream:
        env = {"GROQ_API_KEY": KEY, "GROQ_API_BASE": upstream.base_url}

        run = faultmaven("llm", "validate-key", "groq", env=env)

        assert run.returncode == 0
        assert len(upstream.requests) == 1


def test_llm_test_providers_takes_a_list(faultmaven: FaultMaven) -> None:
    run = faultmaven("llm", "test-providers", "--providers", "echo, openai", "--json")

    assert [trial["ok"] for trial in json.loads(run.stdout)] == [True, False]
    assert run.returncode == 1
