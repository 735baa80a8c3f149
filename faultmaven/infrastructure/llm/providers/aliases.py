"""Other names of rows: each means one row, or nobody could tell which was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.errors import ConfigurationError

if TYPE_CHECKING:
    from faultmaven.config.settings import Settings
    from faultmaven.infrastructure.llm.providers.sources import RowSources


def aliases_in(sources: RowSources) -> dict[str, list[str]]:
    """Give the rows that each alias means: one, where nothing is wrong."""
    found: dict[str, list[str]] = {}
    for name in sources.names():
        try:
            aliases = sources.aliases_of(name)
        except ConfigurationError:
            continue  # a package that cannot be loaded; who asks for its row hears of it
        for alias in aliases:
            found.setdefault(alias, []).append(name)
    return found


def shared_alias(alias: str, names: list[str]) -> ConfigurationError:
    """Make the error for an alias of several rows."""
    return ConfigurationError(
        f"The name {alias!r} means several providers: {' and '.join(names)}. "
        "Remove it from the `aliases` of all but one, or write the row's own name.",
        code="duplicate_alias",
    )


def check_file_aliases(sources: RowSources, settings: Settings) -> None:
    """Refuse a file whose rows have an alias that is another row's name or alias.

    Raises:
        ConfigurationError: names both rows.
    """
    stated = settings.file.rows if settings.file else {}
    given = {a: n for n, row in stated.items() for a in row.get("aliases") or ()}
    if not given:
        return
    known = aliases_in(sources)
    for alias, name in given.items():
        owners = dict.fromkeys([*([alias] if alias in sources else []), *known[alias], name])
        if len(owners) > 1:
            raise shared_alias(alias, list(owners))
