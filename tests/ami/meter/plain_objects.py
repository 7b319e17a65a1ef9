"""The objects of a fake meter that does nothing odd: what the tests of odd meters begin with."""

from __future__ import annotations

import fake_meter as fake
from fake_meter import Value, obis

PROFILE, ENERGY, CLOCK = obis("1-0:99.1.0"), obis("1-0:1.8.0"), obis("0-0:1.0.0")
OBJECT_LIST = (15, obis("0-0:40.0.0"), 2)
TIME_COLUMN = fake.structure(fake.long_unsigned(8), fake.octets(CLOCK), fake.integer(2), fake.long_unsigned(0))
ENERGY_COLUMN = fake.structure(fake.long_unsigned(3), fake.octets(ENERGY), fake.integer(2), fake.long_unsigned(0))
DAY = [
    fake.structure(
        fake.octets(fake.date_time(2026, 11, 27, 5, number // 4, number % 4 * 15)),
        fake.double_long_unsigned(1000 + number),
    )
    for number in range(96)
]
LIST = [
    fake.entry(8, 0, "0-0:1.0.0", [(2, 1)]),
    fake.entry(3, 0, "1-0:1.8.0", [(2, 1), (3, 1)]),
    fake.entry(7, 1, "1-0:99.1.0", [(number, 1) for number in range(1, 9)]),
]


def objects(over: dict[fake.Place, Value] | None = None) -> dict[fake.Place, Value]:
    """A clock, a register, a profile of one day, and the list of the three."""
    return {
        OBJECT_LIST: fake.array(*LIST),
        (8, CLOCK, 2): fake.octets(fake.date_time(2026, 11, 28, 6, 12, 0)),
        (3, ENERGY, 2): fake.double_long_unsigned(1234),
        (3, ENERGY, 3): fake.structure(fake.integer(0), fake.enum(30)),
        (7, PROFILE, 2): fake.array(*DAY),
        (7, PROFILE, 3): fake.array(TIME_COLUMN, ENERGY_COLUMN),
        (7, PROFILE, 4): fake.double_long_unsigned(900),
        (7, PROFILE, 7): fake.double_long_unsigned(96),
        **(over or {}),
    }
