from __future__ import annotations

import pytest

from faultmaven.config.file import load_config_file
from faultmaven.config.ports import port_warnings

SCHEME = "port_scheme: { infrastructure: 12001-12100, special: 12101-12200 }"


@pytest.fixture
def read(tmp_path):
    def read(*gateways):
        files = []
        for number, gateway in enumerate(gateways):
            path = tmp_path / f"{number}.yaml"
            path.write_text(f"gateway:\n  {gateway}\n", encoding="utf-8")
            files.append(load_config_file(path, lambda _name: None))
        return [str(problem) for problem in port_warnings(files)]

    return read


def test_ports_within_the_scheme_are_fine(read):
    assert read(f"port: 12001\n  {SCHEME}", "port: 12200", "port: 0") == []


def test_without_a_scheme_any_port_is_fine(read):
    assert read("port: 80", "port: 80") == []


def test_a_port_out_of_every_range_is_named_with_its_line(read):
    (told,) = read(f"{SCHEME}\n  port: 12201")

    assert "0.yaml:3: gateway.port: 12201 is in no range" in told
    assert "special 12101-12200" in told


def test_a_port_of_two_files_is_named_once(read):
    (told,) = read(f"port: 12001\n  {SCHEME}", "port: 12001")

    assert "1.yaml:2: gateway.port: 12001 is the port of" in told
    assert "0.yaml" in told


@pytest.mark.parametrize(
    ("ranges", "told"),
    [("a: 1-9, b: 9-12", "a (1-9) and b (9-12) overlap"), ("a: 9-1", "a (9-1) runs backwards")],
)
def test_ranges_that_cannot_be_meant_are_named(read, ranges, told):
    assert told in read(f"port_scheme: {{ {ranges} }}")[0]
