"""Folders outside of a project, where nothing else says where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faultmaven.config.settings import Settings


def state_folder(settings: Settings) -> Path:
    """Give the folder for what use leaves behind: $XDG_STATE_HOME, else ~/.local/state."""
    stated = settings.lookup("XDG_STATE_HOME")
    base = Path(stated) if stated else Path("~/.local/state").expanduser()
    return base / "faultmaven"
