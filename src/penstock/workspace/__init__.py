"""What a user configures: sources, destinations and functions."""

from penstock.workspace.file import dump, load
from penstock.workspace.planning import Change, Contents
from penstock.workspace.store import Workspace

__all__ = ["Change", "Contents", "Workspace", "dump", "load"]
