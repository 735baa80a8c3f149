"""Get data instead of text, valid by a schema."""

from __future__ import annotations

import faultmaven

FILM = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["title", "year"],
    "additionalProperties": False,
}


def main() -> None:
    """Show a film's title and year."""
    film = faultmaven.complete("Name a film.", output_schema=FILM).parsed
    print(f"{film['title']} ({film['year']})")


if __name__ == "__main__":
    main()
