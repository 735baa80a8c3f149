"""llama.cpp's server out of the `xllamacpp` package, as a program with llama-server's arguments.

That package is built for any x86-64 or ARM processor and chooses its kernels at run time, but it
brings a library and no program.  This file is run by its path, in a process of its own:
`python engine_server.py --model FILE.gguf --host 127.0.0.1 --port 0 …`, the key in LLAMA_API_KEY.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Serve until a signal comes; 2 for arguments that cannot be taken."""
    import xllamacpp  # a module of its own size, and only in this process

    given = _parser().parse_args(arguments)
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.model_alias = {given.alias}
    params.hostnames = [given.host]
    params.port = given.port
    params.n_ctx = given.ctx_size
    params.n_parallel = given.parallel
    params.cpuparams.n_threads = given.threads
    params.cpuparams_batch.n_threads = given.threads
    params.use_jinja = given.jinja
    params.endpoint_metrics = given.metrics
    params.embedding = given.embeddings
    params.ui = False
    if given.pooling == "mean":
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if given.chat_template_file:
        params.chat_template = Path(given.chat_template_file).read_text(encoding="utf-8")
    # The owner's pipe brought the key here; no argument, and so no process list, shows it.
    key = os.environ.pop("LLAMA_API_KEY", "")  # noqa: TID251  # this is another program
    if key:
        params.api_keys = [key]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = xllamacpp.Server(params)
    sys.stdout.write(f"listening on {server.listening_address}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llama-server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pooling", choices=("mean", "none"), default="none")
    parser.add_argument("--chat-template-file")
    for flag in ("--jinja", "--metrics", "--embeddings"):
        parser.add_argument(flag, action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
