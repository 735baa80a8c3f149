"""faultmaven.yaml and providers.d: what is read, what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from faultmaven.config.errors import ConfigFileError
from faultmaven.config.file import ConfigFile, load_config_file


def load(folder: Path, text: str, **variables: str) -> ConfigFile:
    path = folder / "faultmaven.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config_file(path, variables.get)


def test_rows_are_read_with_their_lines(tmp_path: Path) -> None:
    file = load(
        tmp_path, "x-note: mine\nproviders:\n  acme:\n    default_base_url: https://a.example\n"
    )

    assert file.rows["acme"] == {"default_base_url": "https://a.example"}
    assert file.row_files["acme"] == (tmp_path / "faultmaven.yaml", 3)


def test_the_guides_spelling_of_a_provider_is_understood(tmp_path: Path) -> None:
    file = load(
        tmp_path,
        """
providers:
  webui:
    type: openai_compatible
    base_url: http://127.0.0.1:5001
    status: active
    description: "WebUI"
    features: [LoRA support]
    models:
      - name: mistral-7b-instruct
        size: "7B"
        context_length: 8192
        specialty: instruction_following
    health_endpoint: /v1/models
    api_format: openai_compatible
    docs: https://example.com
    location: ~/webui
  anthropic:
    type: anthropic
    base_url: https://api.anthropic.com/v1
    requires_api_key: true
    env_var: ANTHROPIC_API_KEY
    models: [claude-3-opus-20240229]
  custom:
    type: custom
    base_url: http://custom-host:1
    custom_config:
      auth_method: bearer_token
      headers:
        Authorization: "Bearer ${CUSTOM_API_KEY}"
""",
        CUSTOM_API_KEY="canary-key",
    )

    assert file.rows["webui"]["provider_class"] == "OpenAIProvider"
    assert file.rows["webui"]["default_base_url"] == "http://127.0.0.1:5001"
    assert file.rows["webui"]["extra"] == {"features": ["LoRA support"], "location": "~/webui"}
    assert file.rows["anthropic"]["provider_class"] == "AnthropicProvider"
    assert file.rows["anthropic"]["api_key_var"] == "ANTHROPIC_API_KEY"
    assert file.rows["custom"]["headers"] == {"Authorization": "Bearer canary-key"}
    assert file.secrets == {"canary-key"}
    assert "canary-key" not in repr(file)


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as caught:
        load(
            tmp_path,
            "providers:\n  acme:\n    timeuot: 3\n    max_retries: many\nrutes: {}\n",
        )

    path = tmp_path / "faultmaven.yaml"
    told = str(caught.value).splitlines()
    assert told[0].startswith(
        f"{path}:3: providers.acme.timeuot: unknown field. Did you mean timeout"
    )
    assert told[1].startswith(
        f"{path}:4: providers.acme.max_retries: 'many' must be of type integer"
    )
    assert told[2].startswith(f"{path}:5: rutes: unknown field. Did you mean routes")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("providers:\n  a: {}\n  a: {}\n", 3, "is given twice"),
        ("providers: !!python/object:os.system {}\n", 1, "has the tag"),
        ("providers:\n  a: !env HOME\n", 2, "has the tag"),
        ("providers:\n  a: {description: '${NOT_SET}'}\n", 2, "NOT_SET, which is not set"),
        ("providers: [\n", 2, "is not YAML"),
        ("providers:\n\t- a\n", 2, "is not YAML"),
        ("- a\n", 1, "must be a mapping"),
        ("providers:\n  ? [a, b]\n  : {}\n", 2, "a key that is not text"),
        ("x-a: &a\n  b: *a\n", None, "is"),
    ],
    ids=["twice", "python", "tag", "variable", "open", "tab", "list", "key", "recursion"],
)
def test_what_is_refused(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    with pytest.raises(ConfigFileError, match=said) as caught:
        load(tmp_path, text)

    assert line is None or caught.value.line == line


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["x-0: &a0 [a, a, a, a, a, a, a, a, a, a]"]
    lines += [f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]

    with pytest.raises(ConfigFileError, match="too large or too deep"):
        load(tmp_path, "\n".join(lines))


def test_anchors_and_merges_are_read(tmp_path: Path) -> None:
    file = load(tmp_path, "x-a: &a {timeout: 5}\nproviders:\n  b: {<<: *a, default_model: m}\n")

    assert file.rows["b"] == {"timeout": 5, "default_model": "m"}


def test_variables_have_defaults(tmp_path: Path) -> None:
    file = load(tmp_path, "providers:\n  a: {default_base_url: 'http://${H:-localhost}:1'}\n")

    assert file.rows["a"]["default_base_url"] == "http://localhost:1"


def test_providers_d_is_read_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "providers.d"
    folder.mkdir()
    (folder / "acme.yaml").write_text("api_base: https://a.example\ndefault_model: m\n", "utf-8")
    (folder / "more.yaml").write_text("providers:\n  b: {default_model: m}\n", "utf-8")
    file = load(tmp_path, "providers: {c: {default_model: m}}\n")

    assert set(file.rows) == {"acme", "b", "c"}
    assert file.row_files["b"] == (folder / "more.yaml", 2)


def test_a_provider_in_two_files_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "providers.d"
    folder.mkdir()
    (folder / "acme.yaml").write_text("default_model: m\n", "utf-8")

    with pytest.raises(ConfigFileError, match=r"already described in .*faultmaven.yaml:1"):
        load(tmp_path, "providers: {acme: {default_model: m}}\n")


def test_an_empty_file_is_no_configuration(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing\n").rows == {}
