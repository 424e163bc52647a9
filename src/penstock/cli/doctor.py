"""``penstock doctor``: what is wrong, and what to do."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict

import typer

from penstock.cli.options import DataOption, JsonOption
from penstock.doctor.examination import CHECKS, examine
from penstock.doctor.findings import PROBLEM, Finding, this_machine

__all__ = ["doctor"]

_WIDEST = 100


def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Find what is wrong with this machine and data folder, and say how to mend it.

    Works with and without a running engine, and changes nothing. The exit code is 1 when there is
    a problem, 0 when there are only notes or nothing.

    Example: penstock doctor --json
    """
    findings = examine({"data": data}, this_machine())
    healthy = all(finding.severity != PROBLEM for finding in findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"healthy": healthy, "findings": found}))
    else:
        _print(findings)
    raise typer.Exit(0 if healthy else 1)


def _print(findings: list[Finding]) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    for finding in findings:
        head = f"{finding.severity} ({finding.check}): "
        typer.echo(textwrap.fill(head + finding.what, width, subsequent_indent="  "))
        typer.echo(
            textwrap.fill(
                f"-> {finding.do}", width, initial_indent="  ", subsequent_indent="     ",
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip
    problems = sum(finding.severity == PROBLEM for finding in findings)
    notes = len(findings) - problems
    if not findings:
        typer.echo(f"{len(CHECKS)} checks, and nothing is wrong")
    else:
        typer.echo(f"\n{len(CHECKS)} checks: {problems} problems, {notes} notes")
