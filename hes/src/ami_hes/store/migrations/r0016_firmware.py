"""Firmware images, what is known of their transfers, and how many meters of a campaign are worked at once. The tables begin empty."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("at_once", sa.Integer))
    op.create_table(
        "images",
        sa.Column("identifier", sa.String, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("version_object", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
    )
    op.create_table(
        "image_parts",
        sa.Column("identifier", sa.String, primary_key=True),
        sa.Column("first_octet", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["identifier"], ["images.identifier"], ondelete="CASCADE"),
    )
    op.create_table(
        "firmware_transfers",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("identifier", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("blocks", sa.Integer, nullable=False),
        sa.Column("there", sa.Integer, nullable=False),
        sa.Column("stuck", sa.Integer, nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("firmware_transfers_by_request", "firmware_transfers", ["request_id"])
