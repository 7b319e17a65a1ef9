"""Meters in partitions: each is worked by one process at a time, so that a meter has one session and its commands an order.

A meter is in a partition by its mRID, whatever it is called; those of a group whose sessions are limited are in one together, so that one process
keeps the limit. Meters that dial in have one to themselves, whose owner hands their commands to whichever process they have dialled into
(`ami_hes.engine.dialled_in_commands`); those on serial lines have one, which belongs to a process at whose machine the lines are.
"""

from collections.abc import Collection
from zlib import crc32

from ami_cim.identity import mrid_key

PARTITIONS = 64
"""Of meters that are called; the same in all processes of a system, since they have to agree on it."""
DIALLED_IN, LINES = PARTITIONS, PARTITIONS + 1
"""That of meters that dial in, and that of meters on serial lines."""
ALL = range(PARTITIONS + 2)
FRONT = PARTITIONS + 2
"""One without meters, which the front end has that is in charge (`ami_hes.engine.charge`)."""


def partition_of(mrid: str, group: str = "") -> int:
    """Of a meter that is called, and is in this group, if in any."""
    return crc32((group or mrid_key(mrid)).encode()) % PARTITIONS


def fair_share(workers: int) -> int:
    """How many a worker should have of so many workers: all of them have one owner when each has so many."""
    return -(-PARTITIONS // max(1, workers))


def too_many(owned: Collection[int], workers: int) -> list[int]:
    """What a worker gives to others."""
    return sorted(owned)[fair_share(workers) :]
