"""What a store that was restored from a copy has to assume of the time since the copy was made.

The HES of that time may have sent every command that the copy shows as open, and has used up invocation counters that the
copy shows as free. With AES-GCM a counter that is used twice under one key gives the key's secrets away (NIST SP 800-38D,
section 8), so each key goes on far above what it can have used.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, literal, select, update

from ami_hes.audit import AuditEntry, What
from ami_hes.store.audit import write
from ami_hes.store.seen_messages import note_restored
from ami_hes.store.tables import attempts, commands, kept_messages, key_counters

COUNTERS_SKIPPED = 2**20
"""A million frames under one key: years of switching a meter."""
LAST_COUNTER = 2**32


def assume_the_worst(connection: Connection, *, by: str = "command", why: str = "a copy was brought back") -> str:
    """What was assumed, in words."""
    begun = select(attempts.c.request_id).where(
        attempts.c.request_id == commands.c.request_id, attempts.c.meter_name == commands.c.meter_name
    )
    left_open = select(
        commands.c.request_id, commands.c.meter_name, literal(datetime.now(UTC), attempts.c.begun_at.type)
    )
    missing = left_open.where(commands.c.finished_at.is_(None), ~begun.exists())
    connection.execute(insert(attempts).from_select(["request_id", "meter_name", "begun_at"], missing))
    open_commands = connection.execute(
        select(func.count()).select_from(commands).where(commands.c.finished_at.is_(None))
    ).scalar_one()
    connection.execute(update(kept_messages).values(in_question=True))
    acknowledged = connection.execute(select(func.count()).select_from(kept_messages)).scalar_one()
    keys = 0
    for key_id, next_value, tried_to in connection.execute(
        select(key_counters.c.key_id, key_counters.c.next_value, key_counters.c.tried_to)
    ).all():
        above = min(max(next_value, tried_to) + COUNTERS_SKIPPED, LAST_COUNTER)
        values = {"next_value": above, "tried_from": 0, "tried_to": 0}
        connection.execute(update(key_counters).where(key_counters.c.key_id == key_id).values(values))
        keys += 1
    note_restored(connection, datetime.now(UTC))
    reason = f"{why}; entries that were written after it was made are gone from this log"
    entry = AuditEntry(what=What.STORE_CHANGED, at=datetime.now(UTC), principal="hes", by=by, reason=reason)
    write(connection, [entry])
    return (
        f"{open_commands} open commands may have been sent since the copy was made and are treated so; {acknowledged} messages that were "
        "acknowledged and not yet carried out are answered so, and nothing more of them is done; the invocation counters "
        f"of {keys} keys go on {COUNTERS_SKIPPED:,} above the copy. Requests that came after the copy are not known any more: the "
        "same MessageID would be carried out again."
    )
