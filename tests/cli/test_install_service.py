"""`faultmaven install-service`: the unit that is shipped, and where it may be written."""

from __future__ import annotations

from faultmaven.cli.install_service import CONFIG, ENV_FILE, make_unit


def test_the_shipped_unit_is_what_it_writes(root):
    shipped = (root / "deploy" / "faultmaven.service").read_text()

    assert make_unit("/opt/faultmaven/bin/faultmaven", CONFIG, ENV_FILE) == shipped


def test_print_writes_nothing(faultmaven, tmp_path):
    place = tmp_path / "faultmaven.service"

    done = faultmaven(
        *("install-service", "--print", "--to", str(place)),
        *("--config", "/srv/fm 1/faultmaven.yaml"),
    )

    assert done.returncode == 0
    assert done.stdout.startswith(f"# {place}\n")
    assert "--config '/srv/fm 1/faultmaven.yaml'" in done.stdout
    assert not place.exists()


def test_paths_are_whole_wherever_the_service_runs(faultmaven, tmp_path):
    done = faultmaven(
        "install-service", "--print", "--config", "fm.yaml", "--env-file", "keys/env"
    )

    assert f"--config {tmp_path}/fm.yaml" in done.stdout
    assert f"EnvironmentFile={tmp_path}/keys/env\n" in done.stdout


def test_a_unit_that_is_different_is_kept(faultmaven, tmp_path):
    place = tmp_path / "faultmaven.service"
    command = ("install-service", "--to", str(place))

    codes = [faultmaven(*command).returncode]
    place.write_text("mine")
    codes.append(faultmaven(*command).returncode)
    kept = place.read_text()
    codes.append(faultmaven(*command, "--force").returncode)

    assert codes == [0, 1, 0]
    assert kept == "mine"
    assert "ExecStart=" in place.read_text()


def test_a_place_that_cannot_be_written_is_said(faultmaven, tmp_path):
    done = faultmaven("install-service", "--to", str(tmp_path / "missing" / "faultmaven.service"))

    assert done.returncode == 1
    assert "cannot write" in done.stderr
