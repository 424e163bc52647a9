"""What a user configures: sources today; every other resource will live here too."""

from penstock.workspace.file import Change, dump, load, plan
from penstock.workspace.store import Workspace

__all__ = ["Change", "Workspace", "dump", "load", "plan"]
