"""The Toastmates demo: a simulated toast shop, the guides' SQL, and a check against its ledger."""

from __future__ import annotations

from penstock.demo.compare import SCHEMA, compare
from penstock.demo.ledger import Ledger
from penstock.demo.queries import load_sql
from penstock.demo.send import SendResult, send
from penstock.demo.simulate import Simulation, simulate
from penstock.demo.tables import TABLES, DemoTable, Query, render

__all__ = [
    "SCHEMA",
    "TABLES",
    "DemoTable",
    "Ledger",
    "Query",
    "SendResult",
    "Simulation",
    "compare",
    "load_sql",
    "render",
    "send",
    "simulate",
]
