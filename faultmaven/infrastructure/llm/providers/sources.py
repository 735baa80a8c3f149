"""Where rows come from, and which one counts.

In rising precedence: the built-in table, an installed package (entry points of the group
`faultmaven.providers`), faultmaven.yaml and its providers.d, `PROVIDER_SCHEMA` changed at run time,
and a name in FAULTMAVEN_PROVIDERS that only variables describe.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from weakref import WeakSet

from typing_extensions import override

from faultmaven.config.suggest import did_you_mean
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.providers.row import check_row, complete_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import EntryPoint
    from typing import Protocol

    from faultmaven.config.settings import Settings

    class Listener(Protocol):
        """Hears of a changed row."""

        def row_changed(self, name: str) -> None:
            """Forget what was built from the row."""
            ...


Row = dict[str, Any]

ENTRY_POINT_GROUP: Final = "faultmaven.providers"
MAX_BASES: Final = 8
BUILT_IN: Final = "built in"  # the place of the table's rows


class LiveRow(dict[str, Any]):
    """A row of `PROVIDER_SCHEMA`: changing a field checks the row and takes effect at once."""

    def __init__(self, schema: ProviderSchema, name: str, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self._schema = schema
        self._name = name

    def _replace(self, row: Row) -> None:
        self._schema[self._name] = row
        super().clear()
        super().update(row)

    @override
    def __setitem__(self, field: str, value: Any) -> None:
        self._replace({**self, field: value})

    @override
    def __delitem__(self, field: str) -> None:
        if field not in self:
            raise KeyError(field)
        self._replace({key: value for key, value in self.items() if key != field})

    @override
    def update(self, *others: Any, **fields: Any) -> None:
        self._replace({**self, **dict(*others, **fields)})

    @override
    def __ior__(self, other: Any) -> LiveRow:  # type: ignore[override]  # as dict's own, narrower
        self.update(other)
        return self

    @override
    def setdefault(self, field: str, default: Any = None) -> Any:
        if field not in self:
            self[field] = default
        return self[field]

    @override
    def pop(self, field: str, *default: Any) -> Any:
        if field not in self:
            return super().pop(field, *default)
        value = self[field]
        del self[field]
        return value

    @override
    def popitem(self) -> NoReturn:
        raise ConfigurationError(_TELL, code="bad_row")

    @override
    def clear(self) -> NoReturn:
        raise ConfigurationError(_TELL, code="bad_row")


_TELL: Final = "Remove a row as a whole: del PROVIDER_SCHEMA[name]."


class ProviderSchema(dict[str, Row]):
    """The rows that Python code states: the built-in ones, and whatever is set at run time.

    Setting an item checks it at once (`ConfigurationError`, nothing half-done) and every registry sees
    it with its next call.  Fields of a row may be set too: `PROVIDER_SCHEMA["groq"]["timeout"] = 30`.

    Args:
        rows: the rows to begin with; those that are not `builtin`'s own count as set at run time.
        builtin: the built-in table.
    """

    def __init__(self, rows: Mapping[str, Row], builtin: Mapping[str, Row]) -> None:
        super().__init__(rows)
        self.builtin = builtin
        self._initial = dict(rows)
        self.edited: set[str] = {
            name for name, row in rows.items() if builtin.get(name) is not row
        }
        self._completed: dict[str, Row] = {}
        self._listeners: WeakSet[Any] = WeakSet()
        self._lock = threading.RLock()

    def add_listener(self, listener: Listener) -> None:
        """Tell an object of every change, as long as somebody else keeps it alive."""
        with self._lock:
            self._listeners.add(listener)

    def reset(self) -> None:
        """Go back to the rows it began with."""
        with self._lock:
            names = {*self, *self._initial}
            super().clear()
            super().update(self._initial)
            self.edited = {n for n, row in self._initial.items() if self.builtin.get(n) is not row}
        self._tell(names)

    @override
    def __getitem__(self, name: str) -> Row:
        return LiveRow(self, name, super().__getitem__(name))

    @override
    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - this is that method

    def stated(self, name: str) -> Row:
        """Give a row as it was stated, for reading only."""
        return super().__getitem__(name)

    def complete_builtin(self, name: str) -> Row:
        """Give a built-in row that has no base, checked and with its conventions, for reading only.

        Kept, as such rows never change: all of them take 80 ms, and a table of names asks for all.
        """
        whole = self._completed.get(name)
        if whole is None:
            row = self.builtin[name]
            check_row(name, row, BUILT_IN)
            whole = self._completed[name] = complete_row(name, row)
        return whole

    @override
    def __setitem__(self, name: str, row: Mapping[str, Any]) -> None:
        self.update({name: row})

    @override
    def update(self, *others: Any, **rows: Any) -> None:
        given = dict(*others, **rows)
        for name, row in given.items():
            check_row(name, dict(row) if isinstance(row, Mapping) else row)
        with self._lock:
            for name, row in given.items():
                super().__setitem__(name, dict(row))
                self.edited.add(name)
        self._tell(given)

    @override
    def __ior__(self, other: Any) -> ProviderSchema:  # type: ignore[override]  # as dict's own, narrower
        self.update(other)
        return self

    @override
    def setdefault(self, name: str, default: Any = None) -> Any:
        with self._lock:
            if name not in self:
                self[name] = default
        return self[name]

    @override
    def __delitem__(self, name: str) -> None:
        with self._lock:
            super().__delitem__(name)
            self.edited.discard(name)
        self._tell([name])

    @override
    def pop(self, name: str, *default: Any) -> Any:
        with self._lock:
            if name not in self:
                return super().pop(name, *default)
            row = self.stated(name)
            del self[name]
        return row

    @override
    def popitem(self) -> tuple[str, Row]:
        with self._lock:
            name = next(reversed(self))
            return name, self.pop(name)

    @override
    def clear(self) -> None:
        with self._lock:
            names = list(self)
            super().clear()
            self.edited.clear()
        self._tell(names)

    def _tell(self, names: Any) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            for name in names:
                listener.row_changed(name)


class Stated(NamedTuple):
    """A row and the place that states it."""

    place: str
    row: Row


class RowSources:
    """All rows that one registry sees: `PROVIDER_SCHEMA`, the packages', the file's, the variables'."""

    def __init__(self, schema: ProviderSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._packaged: dict[str, EntryPoint] | None = None

    def names(self) -> list[str]:
        """Give every row's name: the table's in its order, then those of the other places."""
        file = self._settings.file
        names = [*self._schema, *self._entry_points(), *(file.rows if file else ())]
        return list(dict.fromkeys([*names, *self._settings.faultmaven_providers]))

    def __contains__(self, name: str) -> bool:
        file, settings = self._settings.file, self._settings
        return (
            name in self._schema
            or (file is not None and name in file.rows)
            or name in settings.faultmaven_providers
            or name in self._entry_points()
        )

    def find(self, name: str) -> Stated | None:
        """Give the row that counts, as stated, with its place.

        Raises:
            ConfigurationError: an installed package states it, and cannot be loaded.
        """
        return next(self._stated(name), None)

    def aliases_of(self, name: str) -> Sequence[str]:
        """Give a row's other names, as stated; a row that is based on itself keeps what it had.

        Raises:
            ConfigurationError: an installed package states it, and cannot be loaded.
        """
        for stated in self._stated(name):
            row: Any = stated.row  # a package's may be anything
            if not isinstance(row, dict):
                break
            if "aliases" in row or row.get("base") != name:
                return row.get("aliases") or ()
        return ()

    def complete(self, name: str) -> Row:
        """Give a row checked, with its bases and the conventions filled in.

        Raises:
            KeyError: there is no such row.
            ConfigurationError: it is not valid, or its bases are not.
        """
        return self._complete(name, list(self._stated(name)), ())

    def _complete(self, name: str, stated: list[Stated], path: tuple[str, ...]) -> Row:
        if not stated:
            raise KeyError(name)
        if len(path) > MAX_BASES:
            msg = f"{path[0]}: too many bases: {' -> '.join(path)}."
            raise ConfigurationError(
                msg,
                provider=path[0],
                code="bad_row",
            )
        place, row = stated[0]
        if place == BUILT_IN and "base" not in row:
            return dict(self._schema.complete_builtin(name))
        check_row(name, row, place)
        base = row.get("base")
        if base is None:
            return complete_row(name, row)
        below = stated[1:] if base == name else list(self._stated(base))
        if base in path or not below:
            why = (
                "is based on itself" if base in path else f"there is no row {base!r} to start from"
            )
            hint = "" if base in path else f" {did_you_mean(base, self.names())}".rstrip()
            msg = f"{place}[{name!r}]['base']: {why} ({' -> '.join((*path, name, base))}).{hint}"
            raise ConfigurationError(
                msg,
                provider=name,
                code="bad_row",
            )
        further = path if base == name else (*path, name)
        return complete_row(name, row, self._complete(base, below, further))

    def _stated(self, name: str) -> Iterator[Stated]:
        schema, file = self._schema, self._settings.file
        if name in schema and name in schema.edited:
            yield Stated("PROVIDER_SCHEMA", schema.stated(name))
        if file is not None and name in file.rows:
            path, line = file.row_files[name]
            yield Stated(f"{path}:{line}", file.rows[name])
        if name in self._entry_points():
            yield self._packaged_row(name)
        if name in schema.builtin and name in schema:
            yield Stated(BUILT_IN, schema.builtin[name])
        elif name in self._settings.faultmaven_providers and not self._is_described(name):
            yield Stated("FAULTMAVEN_PROVIDERS", {})

    def _is_described(self, name: str) -> bool:
        file = self._settings.file
        return (
            name in self._schema.edited
            or (file is not None and name in file.rows)
            or name in self._entry_points()
        )

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._packaged is None:
            self._packaged = _installed(tuple(sys.path))
        return self._packaged

    def _packaged_row(self, name: str) -> Stated:
        point = self._entry_points()[name]
        place = f"entry point {point.value}"
        try:
            loaded = point.load()
        except Exception as exc:  # a package may raise anything
            msg = f"{place} of the installed provider {name} cannot be loaded: {exc}."
            raise ConfigurationError(
                msg,
                provider=name,
                code="bad_provider_class",
            ) from exc
        row = {"provider_class": loaded} if isinstance(loaded, type) else loaded
        return Stated(place, row)


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> dict[str, EntryPoint]:  # noqa: ARG001  # what counts as the same
    """Find what the packages on `sys.path` declare, once for all registries.

    It reads every package's metadata: 5 ms for 150 of them, 20 the first time.
    """
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
