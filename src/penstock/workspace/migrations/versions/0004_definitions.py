"""Audiences, traits and spaces are resources of the workspace, each a document."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "definitions",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("slug", sa.String, primary_key=True),
        sa.Column("definition", sa.JSON, nullable=False),
    )
