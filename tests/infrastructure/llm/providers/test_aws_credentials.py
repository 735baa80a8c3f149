"""Where signatures come from: the settings, and botocore's chain."""

import json
import sys

import pytest

from faultmaven.infrastructure.llm.errors import ConfigurationError, ProviderNotConfiguredError
from faultmaven.infrastructure.llm.providers.aws_credentials import AWSCredentialSource
from faultmaven.infrastructure.llm.secret import redact

PROFILES = """
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = secret-of-default
[work]
aws_access_key_id = AKIDWORK
aws_secret_access_key = secret-of-work
aws_session_token = token-of-work
"""


@pytest.fixture
def aws_home(tmp_path, monkeypatch):
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


async def test_keys_of_the_settings_need_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    variables = {"access_key": "AKID", "secret_key": "secret-of-a-test", "session_token": "t"}

    found = await AWSCredentialSource("bedrock", variables).get()

    assert (found.access_key, found.secret_key, found.session_token) == (
        "AKID", "secret-of-a-test", "t",
    )  # fmt: skip
    assert "secret-of-a-test" not in redact("sent secret-of-a-test")


async def test_without_keys_and_extra_it_says_what_to_do(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "botocore":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)

    with pytest.raises(ConfigurationError, match=r"faultmaven\[bedrock\]"):
        await AWSCredentialSource("bedrock", {}).get()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("AKIDDEFAULT", None)),
        ({"profile": "work"}, ("AKIDWORK", "token-of-work")),
        ({"access_key": "half a pair"}, ("AKIDDEFAULT", None)),
    ],
)
async def test_profiles_are_read_by_botocore(aws_home, variables, expected):
    pytest.importorskip("botocore")
    (aws_home / "credentials").write_text(PROFILES)
    source = AWSCredentialSource("bedrock", variables)

    found = await source.get()

    assert (found.access_key, found.session_token) == expected
    assert await source.get() is found


async def test_a_profile_that_there_is_not_is_named(aws_home):
    pytest.importorskip("botocore")

    with pytest.raises(ProviderNotConfiguredError, match="missing"):
        await AWSCredentialSource("bedrock", {"profile": "missing"}).get()


async def test_no_credentials_at_all_say_which_variables_to_set(aws_home):
    pytest.importorskip("botocore")

    with pytest.raises(ProviderNotConfiguredError, match="AWS_BEARER_TOKEN_BEDROCK"):
        await AWSCredentialSource("bedrock", {}).get()


async def test_credentials_that_expire_are_asked_for_each_time(aws_home):
    pytest.importorskip("botocore")
    script = aws_home / "issue.py"
    said = {
        "Version": 1,
        "AccessKeyId": "AKIDPROCESS",
        "SecretAccessKey": "secret-of-process",
        "SessionToken": "token-of-process",
        "Expiration": "2999-01-01T00:00:00Z",
    }
    script.write_text(f"print({json.dumps(json.dumps(said))})")
    (aws_home / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} {script}\n"
    )
    source = AWSCredentialSource("bedrock", {})

    first, second = await source.get(), await source.get()

    assert first.access_key == second.access_key == "AKIDPROCESS"
    assert first is not second
