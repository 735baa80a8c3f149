"""`faultmaven doctor`: what is wrong with the set-up, each finding with its fix."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from faultmaven.cli.exit_codes import EXIT_FAILED, EXIT_OK
from faultmaven.cli.finding import Finding
from faultmaven.cli.output import is_terminal, make_console, printable, write, write_json
from faultmaven.config.errors import ConfigFileError

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("PROBLEM", "bold red")}


@click.command()
@click.option("--offline", is_flag=True, help="Ask no provider and no server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(offline: bool, as_json: bool) -> int:
    """Look at the installation, .env, the chosen providers, their keys and servers.

    The chosen providers are asked whether they accept their keys, which costs nothing.  Ends with 1
    if there is a problem.
    """
    findings = examine(offline=offline)
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        write_json({"ok": not problems, "findings": list(map(asdict, findings))})
    else:
        for finding in findings:
            _show(finding)
    return EXIT_FAILED if problems else EXIT_OK


def examine(*, offline: bool) -> list[Finding]:
    """Look at everything, and give what was found in the order it was looked at."""
    from faultmaven.cli import examinations as look
    from faultmaven.config.settings import load_settings
    from faultmaven.infrastructure.llm.providers.registry import ProviderRegistry

    findings = [*look.installation()]
    try:
        settings = load_settings()
    except ConfigFileError as exc:
        findings += [Finding("problem", "configuration", str(p), p.remedy) for p in exc.problems]
        return findings
    registry = ProviderRegistry(settings)
    findings += look.files(registry)
    findings += look.not_in_force(settings)
    findings += look.proxies(settings)
    findings += look.rows(registry)
    chosen, choices = look.choices(registry)
    findings += choices
    findings += look.keys(registry, chosen)
    findings += look.engine(registry, chosen)
    if not offline:
        findings += asyncio.run(look.answers(registry, chosen))
    return findings


def _show(finding: Finding) -> None:
    mark, style = _MARKS[finding.level]
    said, fix = _line(finding.said), ""
    if finding.fix and finding.fix not in said:
        said, fix = f"{said.rstrip('.')}.", f" {finding.fix}"
    if not is_terminal():
        write("\t".join((mark, finding.subject, said + fix)))
        return
    from rich.text import Text

    text = Text.assemble((f"{mark:8}", style), (f"{printable(finding.subject)}: ", "bold"))
    text.append(printable(said))
    text.append(printable(fix), style="italic")
    make_console().print(text)


def _line(text: str) -> str:
    return " ".join(text.split())
