"""How the requests of our tools compare with those of public definitions, as last counted.

The counts are those of ``tests/destinations/reference/counts.json``, which a test keeps true.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["compared_page", "compared_section"]

REFERENCE = Path(__file__).parents[1] / "tests" / "destinations" / "reference"
PACKAGE = "@segment/action-destinations"
_INTRODUCTION = """\
The npm package `{package}` ({version}) holds public definitions of many of these
tools. Where it has one, the same generated events with the same settings run through it and
through ours, and each request is compared: method, address, headers and every field of the body.
Half of the events lack fields or have odd ones. The counts below are those of
`tests/destinations/reference`, which fails when they change; a difference without a reason fails
it, too.

*Events* counts runs: an event alone, with an answer of the tool that is tried, or several events
as a batch. Not each of them leads to a request, and some lead to several. A difference may also
be in what is told of an event that is not sent.

"""
_OTHERS = """\
Kochava's is in the repository, but in no release of the package. These, and most of those above
that send to an API of their own, are checked against fakes that refuse what the tool's
documentation does not allow; each file of `tests/destinations/fakes` names its source. Kafka, S3
and local files are tested against what reads them. AdRoll sends nothing from a server."""
_OF_OTHER_KINDS = {"kafka", "s3", "local-files", "adroll"}


def compared_page(note: str, names: Mapping[str, str]) -> str:
    """All tools that are compared; ``names`` holds the name of every tool by its slug."""
    introduction = _INTRODUCTION.format(package=PACKAGE, version=_version())
    text = f"# Compared with public definitions\n\n{note}{introduction}"
    text += "| tool | events | requests | equal | different | what differs, and why |\n"
    text += "|---|---|---|---|---|---|\n"
    for case, counts in _counts().items():
        tool = f"[{names[counts['tool']]}]({counts['tool']}.md){_kind(case)}"
        text += f"| {tool} | {_figures(counts)} | {' '.join(_reasons(counts))} |\n"
    compared = {counts["tool"] for counts in _counts().values()}
    others = [names[slug] for slug in sorted(names.keys() - compared - _OF_OTHER_KINDS)]
    told = textwrap.fill(
        "Other tools have no public definition that could be run beside ours: "
        f"{', '.join(others[:-1])} and {others[-1]}. {_OTHERS}",
        width=100,
    )
    return f"{text}\n{told}\n"


def compared_section(slug: str) -> str:
    """What stands on the page of a tool; empty when it is not compared."""
    cases = {case: counts for case, counts in _counts().items() if counts["tool"] == slug}
    if not cases:
        return ""
    text = (
        f"\n## Compared with the reference\n\nWith the definition in `{PACKAGE}` {_version()}, "
        "by the same [generated events](compared.md):\n\n"
        "| | events | requests | equal | different |\n|---|---|---|---|---|\n"
    )
    for case, counts in cases.items():
        text += f"|{_kind(case).removeprefix(',')} | {_figures(counts)} |\n"
    rows = [_row(each) for counts in cases.values() for each in counts["differences"]]
    if not rows:
        return text + "\nNothing differs.\n"
    head = "\n| field | action | values that differ | reason |\n|---|---|---|---|\n"
    return text + head + "".join(dict.fromkeys(rows))


def _row(difference: Mapping[str, Any]) -> str:
    action = f"`{difference['action']}`" if difference["action"] else "all"
    path = difference["path"].replace("|", "\\|")
    return f"| `{path}` | {action} | {difference['fields']} | {_sentence(difference)} |\n"


def _figures(counts: Mapping[str, int]) -> str:
    events, requests, equal = counts["events"], counts["requests"], counts["equal"]
    return f"{events} | {requests} | {equal} | {requests - equal}"


def _reasons(counts: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(_sentence(each) for each in counts["differences"]))


def _sentence(difference: Mapping[str, str]) -> str:
    reason = difference["reason"].replace("|", "\\|")
    return f"{reason[0].upper()}{reason[1:].rstrip('.')}."


def _kind(case: str) -> str:
    return ", batches" if case.endswith("_batches") else ""


@cache
def _counts() -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((REFERENCE / "counts.json").read_text(encoding="utf-8"))
    return counts


def _version() -> str:
    """The release that is compared with: a test-time dependency, pinned."""
    package = json.loads((REFERENCE / "package.json").read_text(encoding="utf-8"))
    version: str = package["dependencies"][PACKAGE]
    return version
