"""The `pricing` section of faultmaven.yaml, put above the shipped catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultmaven.infrastructure.llm.catalog import Catalog, get_catalog, set_catalog

if TYPE_CHECKING:
    from faultmaven.config.file import ConfigFile


def make_catalog(file: ConfigFile | None) -> Catalog | None:
    """Make a catalog with a file's own models and prices; None where it states none.

    Raises:
        ConfigurationError: an entry cannot be; names file, line and path.
    """
    from faultmaven.infrastructure.llm.overrides import parse_entry, parse_key

    overrides = file.section("pricing") if file is not None else {}
    if file is None or not overrides:
        return None
    source = str(file.path)
    for key, entry in overrides.items():
        place = f"{source}:{file.line_of(('pricing', key)) or 1}"
        parse_key(key, place)
        parse_entry(entry, f"{place}: pricing.{key}", source)
    return Catalog(overrides, source=source)


def replace_catalog(former: Catalog | None, fresh: Catalog | None) -> None:
    """Make a file's catalog the process's own; without one the shipped one, if `former` was in use.

    A catalog that Python code has set stays, unless the file states prices.
    """
    if fresh is not None or (former is not None and get_catalog() is former):
        set_catalog(fresh)
