"""`.env.example`: every setting and every provider's variables, commented out."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from faultmaven.cli.variables import listed
from faultmaven.config.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultmaven.config.fields import Field

WIDTH: Final = 96


def env_example(rows: Mapping[str, Mapping[str, Any]], notice: str = "") -> str:
    """Give the file's text.

    Args:
        rows: complete rows by name; those that are not active are left out.
        notice: a first line, "" for none.
    """
    lines = [f"# {notice}"] if notice else []
    lines += ["# Copy to .env, keep it private (chmod 600 .env), uncomment what you need.", ""]
    for group, fields in groupby(FIELDS, key=lambda field: field.group):
        lines += [f"# == {group}", ""]
        for field in fields:
            lines += [*_comment(field.description), f"#{field.name}={_example(field)}", ""]
    lines += ["# == Keys, models and addresses", ""]
    for name, row in rows.items():
        if row["status"] == "active":
            lines += [*_row_lines(name, row), ""]
    return "\n".join(lines)


def _row_lines(name: str, row: Mapping[str, Any]) -> list[str]:
    values = [
        (row["api_key_var"], ""),
        (row["model_var"], row.get("default_model")),
        (row["base_url_var"], row.get("default_base_url")),
    ]
    values += [(one["vars"], one.get("default")) for one in row.get("variables", {}).values()]
    lines = [
        f"#{variable}={_literal(value)}"
        for names, value in values
        for variable in listed(names)[:1]
    ]
    return [f"# {row.get('display_name', name)}", *lines]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH)]


def _example(field: Field) -> str:
    return field.example or _literal(field.default)


def _literal(value: Any) -> str:
    if value is None or value == ():
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}'" if "$" in text or " " in text or "#" in text else text
