"""What was typed in conversations, kept for the arrow keys in a file that only its owner reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from faultmaven.cli.output import say
from faultmaven.config.folders import state_folder

if TYPE_CHECKING:
    from faultmaven.config.settings import Settings

MAX_LINES = 1000
_FILE_MODE = 0o600


class History:
    """The lines of `history` in the state folder: $XDG_STATE_HOME/faultmaven, ~/.local/state/faultmaven.

    Without line editing (readline) there is none; where the folder cannot be written it says so.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = state_folder(settings) / "history"
        try:
            import readline
        except ImportError:
            self._readline = None
        else:
            self._readline = readline

    def load(self) -> None:
        """Give the lines to the arrow keys."""
        if self._readline is None:
            return
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return  # none yet, or not ours to read
        for line in text.splitlines()[-MAX_LINES:]:
            self._readline.add_history(line)

    def save(self) -> None:
        """Write the newest lines."""
        if self._readline is None:
            return
        count = self._readline.get_current_history_length()
        first = max(1, count - MAX_LINES + 1)
        items = [self._readline.get_history_item(i) for i in range(first, count + 1)]
        data = "".join(f"{item}\n" for item in items if item).encode(errors="replace")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                os.fchmod(descriptor, _FILE_MODE)
                file.write(data)
        except OSError as exc:
            say(f"The history is not kept: {self.path}: {exc.strerror}.")
