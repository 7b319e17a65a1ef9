"""Answers and their parts may be packed, which earlier versions can't read. Those that are kept stay as they are until they are forgotten."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """No table changes."""
