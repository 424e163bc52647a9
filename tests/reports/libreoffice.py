"""A workbook calculated anew by LibreOffice, and read back."""

from __future__ import annotations

import csv
import re
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

from tests.requirements import require_tool

_ALL_SHEETS_AS_CSV = (
    "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
)
"""Numbers in full, not as shown; a file for each sheet."""
_ALWAYS_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""


def recalculated(workbook: bytes, folder: Path) -> dict[str, list[list[str]]]:
    """Each sheet's cells as text, after every stored result of a formula was removed."""
    program = require_tool("libreoffice")
    profile = folder / "libreoffice"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_ALWAYS_RECALCULATE)
    (folder / "book.xlsx").write_bytes(_without_results(workbook))
    done = subprocess.run(
        [
            program, f"-env:UserInstallation={profile.as_uri()}", "--headless",
            "--convert-to", _ALL_SHEETS_AS_CSV, "--outdir", folder / "out", folder / "book.xlsx",
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sheets = {}
    for file in (folder / "out").glob("book-*.csv"):
        with file.open(newline="", encoding="utf-8") as lines:
            sheets[file.stem.removeprefix("book-")] = list(csv.reader(lines))
    assert sheets, done.stdout + done.stderr
    return sheets


def _without_results(workbook: bytes) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(workbook)) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            body = source.read(name)
            if name.startswith("xl/worksheets/"):
                body = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", body)
            copy.writestr(name, body)
    return target.getvalue()
