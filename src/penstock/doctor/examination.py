"""Every check, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from penstock.doctor import configuration, folder, functions, operation
from penstock.doctor.findings import PROBLEM, Examined, Finding, Machine
from penstock.engine import holder, running_settings

__all__ = ["CHECKS", "examine"]

Check = Callable[[Examined], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    configuration.check_variables,
    configuration.check_versions,
    configuration.check_proxies,
    configuration.check_tls,
    configuration.check_memory,
    configuration.check_open_files,
    folder.check_rights,
    folder.check_disk,
    folder.check_clock,
    folder.check_formats,
    folder.check_damage,
    folder.check_failures,
    folder.check_leftovers,
    operation.check_ports,
    operation.check_roles,
    operation.check_warehouse,
    operation.check_lag,
    operation.check_ledger,
    operation.check_sources,
    functions.check_functions,
)
"""In the order of what a person looks at: settings, the folder, what runs on it."""


def examine(flags: dict[str, Any], machine: Machine) -> list[Finding]:
    """What is wrong, problems first. Nothing is changed, whether or not an engine runs."""
    settings, findings = configuration.settings_of(flags, machine)
    settings = running_settings(settings) or settings
    place = Examined(settings, holder(settings.run_folder), machine)
    for check in CHECKS:
        findings += _done(check, place)
    return sorted(findings, key=lambda finding: finding.severity != PROBLEM)


def _done(check: Check, place: Examined) -> list[Finding]:
    """What one check finds; one that fails is a finding, and the others go on."""
    found: list[Finding] = []
    try:
        found += check(place)
    except Exception as error:  # noqa: BLE001 - doctor is called when anything may be broken
        name = check.__name__.removeprefix("check_").replace("_", " ")
        what = f"the check of {name} could not be made: {type(error).__name__}: {error}"
        found.append(Finding(PROBLEM, name, what, "mend what it names, then run doctor again"))
    return found
