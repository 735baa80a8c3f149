"""`faultmaven serve` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-m", "faultmaven", "serve")
# For what only ends a hang.
HANG_S = 60
_READY = b"ready\n\n"


class Served:
    """A gateway that runs.

    Attributes:
        process: it leads a group of its own.
        said: what it has written so far, to standard output or to standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = bytearray()
        self._banner_is_out = asyncio.Event()
        self._hearing = asyncio.create_task(self._hear())

    @property
    def banner(self) -> str:
        """What it said before it was ready."""
        banner, ready, _ = self.said.partition(_READY)
        assert ready, f"the gateway did not start: {banner.decode()}"
        return banner.decode()

    @property
    def log(self) -> str:
        """What it has said since."""
        return self.said.partition(_READY)[2].decode()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return re.search(r"http://[0-9.]+:[0-9]+", self.banner)[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """Give its workers' numbers."""
        pid = self.process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def wait_for_another_worker(self, before: list[int]) -> None:
        """Wait until it has a worker that was not there."""
        async with asyncio.timeout(HANG_S):
            while not set(self.workers()) - set(before):
                await asyncio.wait([self._hearing], timeout=0.01)

    async def begin(self) -> None:
        """Wait until it is ready."""
        await asyncio.wait_for(self._banner_is_out.wait(), HANG_S)
        assert self.banner

    async def end(self, within_s: float = HANG_S) -> int:
        """Ask it to end, and wait until it has; gives its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await self.over(within_s)

    async def over(self, within_s: float = HANG_S) -> int:
        """Wait until it and its workers have ended; gives its exit code."""
        async with asyncio.timeout(within_s):
            await self._hearing
            return await self.process.wait()

    async def _hear(self) -> None:
        while data := await self.process.stdout.read(65536):
            self.said += data
            if not self._banner_is_out.is_set() and _READY in self.said:
                self._banner_is_out.set()
        self._banner_is_out.set()


@asynccontextmanager
async def serving(
    folder: Path, variables: Mapping[str, str], *options: str, **of_the_process: Any
) -> AsyncIterator[Served]:
    """Run a gateway in a folder, on any free port."""
    process = await asyncio.create_subprocess_exec(
        *(*SERVE, "--port", "0", *options),
        cwd=folder,
        env=surroundings(folder) | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        **of_the_process,
    )
    served = Served(process)
    try:
        await served.begin()
        yield served
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await served.over()


def surroundings(folder: Path) -> dict[str, str]:
    """Give the variables that every process is given."""
    # Where coverage is measured, it is measured in this process, too.
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {**kept, "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
