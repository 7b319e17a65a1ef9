"""What versions added one by one before stores had a version: requests as they went out, and the heartbeat.

A store without a version may have some of these tables already, so each is made only where it is missing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    if "outgoing" not in there:
        _outgoing()
    if "heartbeat" not in there:
        op.create_table("heartbeat", sa.Column("number", sa.Integer, primary_key=True))


def _outgoing() -> None:
    """A version without this table called a request failed when no answer came, and left it as sent when it ended itself.

    Neither can be sent again, and the HES may have carried out either: what became of it is unknown.
    """
    op.create_table(
        "outgoing",
        sa.Column("message_id", sa.String, sa.ForeignKey("requests.message_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    unknown = "it is not known what became of the request, which the HES may have carried out: "
    op.execute(
        sa.text(
            "UPDATE requests SET state = 'unknown', reason = :unknown || COALESCE(reason, 'no answer came') WHERE state = 'failed'"
        ).bindparams(unknown=unknown)
    )
    op.execute(
        sa.text("UPDATE requests SET state = 'unknown', reason = :reason WHERE state = 'sent'").bindparams(
            reason=unknown + "the process ended before an answer came"
        )
    )
