"""`python -m benchmarks sdk|gateway|crowd`: tables on the standard output, `--json FILE` for programs."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec

# Each module has `add_arguments(parser)` and `run(options) -> Report`.
KINDS = {
    "sdk": "imports, the first answer, and the CPU of a call and of a streamed chunk",
    "gateway": "the gateway beside a bare relay",
    "crowd": "the gateway under a thousand streams, and over a hundred thousand requests",
}


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for, print it, and write it where it was asked to go."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, purpose in KINDS.items():
        if find_spec(f"benchmarks.{name}") is None:
            continue
        kind = kinds.add_parser(name, help=purpose)
        kind.add_argument("--json", metavar="FILE", help="write the figures here too")
        kind.add_argument("--rounds", type=int, default=5, help="how often each is measured")
        import_module(f"benchmarks.{name}").add_arguments(kind)
    options = parser.parse_args(arguments)
    report = import_module(f"benchmarks.{options.kind}").run(options)
    sys.stdout.write(report.text())
    if options.json:
        report.save(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
