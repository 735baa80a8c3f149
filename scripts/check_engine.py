"""Start the embedded engine once: does a real model run on this machine?

Exit code 0: it runs.  1: the engine or its model is missing or broken, or built for another processor.
"""

from __future__ import annotations

import os
import sys

from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers.engine import LlamaServer
from faultmaven.infrastructure.llm.providers.engine_files import find_engine


def main() -> int:
    """Start the engine, wait until it is ready, stop it."""
    try:
        server = LlamaServer(find_engine(os.environ.get), alias="check")
        server.start()
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)
        return 1
    server.stop()
    print("the embedded engine runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
