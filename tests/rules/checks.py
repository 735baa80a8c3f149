"""The rules themselves: each takes a module and yields `path:line what` for every breach."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rules.source import Source

SETTINGS = "config/settings.py"
# A program of its own, which has no settings but its arguments and one variable.
ENGINE_PROGRAM = "infrastructure/llm/providers/engine_server.py"
TRANSPORT = "infrastructure/llm/http/pool.py"

_ENVIRONMENT = re.compile(r"os\.(environb?|getenvb?|putenv|unsetenv)\b|dotenv\.load_dotenv$")
_DANGEROUS = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)$"
    r"|(pickle|cPickle|marshal|shelve|dill|jinja2)(\.|$)"
    r"|yaml\.(load|load_all|full_load|full_load_all|unsafe_load|unsafe_load_all)$"
    r"|os\.(system|popen)$|pty\.spawn$|subprocess\.(getoutput|getstatusoutput)$"
    r"|asyncio\.(subprocess\.)?create_subprocess_shell$"
)
_SESSION = re.compile(r"aiohttp\.(client\.)?(ClientSession|request)$")
_EXECUTE = {"execute", "executemany", "executescript"}
_SECRET_NAME = re.compile(r"(^|_)(key|secret|token|digest)($|_)")
_AUTH_PATH = re.compile(r"gateway/.*(auth|key)|infrastructure/llm/keys")


def environment_reads(source: Source) -> Iterator[str]:
    """Only config/settings.py reads the environment; nothing writes it."""
    if source.path not in (SETTINGS, ENGINE_PROGRAM):
        yield from _matching(source, _ENVIRONMENT)


def dangerous_calls(source: Source) -> Iterator[str]:
    """No code from text, no objects from bytes, no shell, no YAML but the safe loader."""
    yield from _matching(source, _DANGEROUS)
    for call in source.calls():
        for keyword in call.keywords:
            if keyword.arg == "shell" and not _is_false(keyword.value):
                yield f"{source.path}:{call.lineno} shell="


def bare_sessions(source: Source) -> Iterator[str]:
    """One factory makes HTTP sessions, so that one place decides redirects, proxies and sizes."""
    if source.path != TRANSPORT:
        yield from _matching(source, _SESSION)


def composed_sql(source: Source) -> Iterator[str]:
    """A statement is a constant; values are bound."""
    for call in source.calls():
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if method in _EXECUTE and call.args and _is_composed(call.args[0]):
            yield f"{source.path}:{call.lineno} .{method}() of composed text"


def timed_comparisons(source: Source) -> Iterator[str]:
    """Where clients are told apart, a secret is compared by hmac.compare_digest."""
    if not _AUTH_PATH.search(source.path):
        return
    for node in source.nodes:
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            continue
        if any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            for name in filter(None, map(_last_name, sides)):
                if _SECRET_NAME.search(name):
                    yield f"{source.path}:{node.lineno} == on {name}"


def _matching(source: Source, pattern: re.Pattern[str]) -> Iterator[str]:
    for line, name in source.references():
        if pattern.match(name):
            yield f"{source.path}:{line} {name}"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_composed(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "format_map", "join", "replace"}
    )


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None
