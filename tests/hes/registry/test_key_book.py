"""Keys that were sent to a meter and not seen in force yet: each way in which it may have taken them is tried."""

from __future__ import annotations

from entries import entry, mrid, opened

from ami_hes.store import Database
from ami_process.store.places import Place

ONE, OTHER = bytes(range(16)), bytes(range(16, 32))


async def test_two_keys_that_are_in_doubt_may_both_have_come_to_count(place: Place) -> None:
    async with Database(place) as database:
        kept = await opened(database, [entry(1)])
        former = kept.registry.find_by_mrid(mrid(1))
        assert former is not None
        await kept.keys.keep(former, "encryption_key", ONE, "first")
        await kept.keys.keep(former, "authentication_key", OTHER, "second")
        found = [(one.encryption_key, one.authentication_key) for one in kept.keys.candidates(former)]
        old = (former.encryption_key, former.authentication_key)
        assert found == [(ONE, old[1]), (old[0], OTHER), (ONE, OTHER), old]
        await kept.keys.proved(kept.keys.candidates(former)[2])
        (now,) = kept.keys.candidates(former)
        assert (now.encryption_key, now.authentication_key) == (ONE, OTHER)
        changed = [kept.keys.changed_by(former, field) for field in ("encryption_key", "authentication_key")]
        assert changed == ["first", "second"]
