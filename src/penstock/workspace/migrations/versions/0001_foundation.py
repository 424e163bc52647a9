"""The format of the first Penstock: sources, which it made by itself."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: a store of this format is where migrations begin."""
