"""The durable log that every other part reads: append, read, positions, retention."""

from penstock.journal.contract import Block, Gap, Journal, NewBlock, Reading, Writer
from penstock.journal.sqlite import SqliteJournal

__all__ = ["Block", "Gap", "Journal", "NewBlock", "Reading", "SqliteJournal", "Writer"]
