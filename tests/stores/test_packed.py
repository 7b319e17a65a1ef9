"""Octets that are kept packed: the same when they are read, and shorter in the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select

from ami_process.store.columns import PACKED_FROM, PackedOctets
from ami_process.store.places import Place, engine_of

LONG = b"<IntervalReadings><value>1.000</value></IntervalReadings>" * 1_000
TABLE = Table("packed", MetaData(), Column("number", Integer, primary_key=True), Column("octets", PackedOctets))
AS_IT_IS = Table("packed", MetaData(), Column("number", Integer, primary_key=True), Column("octets", LargeBinary))


@pytest.mark.parametrize("octets", [None, b"", b"<a/>", LONG[: PACKED_FROM - 1], LONG[:PACKED_FROM], LONG])
def test_octets_come_back_as_they_were_given(place: Place, octets: bytes | None) -> None:
    if isinstance(place, Path):
        place.parent.mkdir(exist_ok=True)
    engine = engine_of(place)
    with engine.begin() as connection:
        TABLE.create(connection)
        connection.execute(insert(TABLE).values(number=1, octets=octets))
        connection.execute(insert(AS_IT_IS).values(number=2, octets=octets))
        assert list(connection.execute(select(TABLE.c.octets)).scalars()) == [octets, octets], "packed or not"
        kept = connection.execute(select(AS_IT_IS.c.octets).where(AS_IT_IS.c.number == 1)).scalar()
        assert kept == octets if octets is None or len(octets) < PACKED_FROM else 10 * len(kept or b"") < len(octets)
        TABLE.drop(connection)
    engine.dispose()
