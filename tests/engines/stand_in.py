"""A program that behaves like llama-server as far as its owner sees, and misbehaves on demand.

It is written as a script for tests of the process's life; the real server answers the tests of what
it says.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.providers.engine_files import EngineFiles

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """#!{python}
import http.server, os, signal, sys, time
behaviour = {behaviour!r}
print("0.00.000.001 I pid", os.getpid(), "key", os.environ["LLAMA_API_KEY"], flush=True)
print("0.00.000.002 I libraries", os.environ.get("LD_LIBRARY_PATH", ""), flush=True)
if behaviour == "broken model":
    print("0.00.000.003 E invalid magic characters: 'garb'", flush=True)
    print("0.00.000.004 I cleaning up", flush=True)
    sys.exit(1)
if behaviour == "old processor":
    os.kill(os.getpid(), signal.SIGILL)
if behaviour == "silent":
    signal.pause()
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

class Door(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Door.asked += 1
        self.send_response(503 if behaviour == "slow" and Door.asked < 3 else 200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass

door = http.server.HTTPServer(("127.0.0.1", 0), Door)
print("0.00.000.005 I listening on http://127.0.0.1:%d" % door.server_port, flush=True)
door.serve_forever()
"""


def make_stand_in(folder: Path, behaviour: str = "well") -> EngineFiles:
    """Write the program and a model file.

    Args:
        folder: where to write them.
        behaviour: "well", or what goes wrong: "broken model", "old processor", "silent", "slow",
            "stubborn".
    """
    binary = folder / "llama-server"
    binary.write_text(_SCRIPT.format(python=sys.executable, behaviour=behaviour))
    binary.chmod(0o755)
    model = folder / "Tiny-1B.Q4_0.gguf"
    model.write_bytes(b"GGUF")
    return EngineFiles(binary, model, folder)
