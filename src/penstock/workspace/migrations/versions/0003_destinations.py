"""Destinations and functions are resources of the workspace; their secrets are stored encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "destinations",
        sa.Column("slug", sa.String, primary_key=True),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("sources", sa.JSON(none_as_null=True)),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("secrets", sa.JSON, nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("mappings", sa.JSON(none_as_null=True)),
        sa.Column("consent", sa.JSON, nullable=False),
        sa.Column("delivery", sa.JSON, nullable=False),
        sa.Column("functions", sa.JSON, nullable=False),
    )
    op.create_table(
        "functions",
        sa.Column("slug", sa.String, primary_key=True),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("sources", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("secrets", sa.JSON, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("timeout", sa.Float, nullable=False),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("network", sa.JSON, nullable=False),
    )
    op.create_table(
        "warehouses",
        sa.Column("slug", sa.String, primary_key=True),
        sa.Column("sources", sa.JSON, nullable=False),
    )
