"""Who the meters of a population are: the same for ever, all different, and found again by any name."""

from __future__ import annotations

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms.security import SecuritySuite
from ami_meter_sim.population.identity import SERIALS, Identities, IdentityError, KeyPurpose, expand

POPULATION = Identities("42", first=1_000_001, count=1_000)


def test_what_is_derived_never_changes() -> None:
    """Shipment files that were written once have to fit populations that are started later."""
    assert POPULATION.name(5) == "AMI0001000006"
    assert POPULATION.device_id(5) == "0001000006"
    assert POPULATION.logical_device_name(5) == b"AMI0000001000006"
    assert POPULATION.system_title(5) == bytes.fromhex("414D4900000F4246")
    assert POPULATION.usage_point(5) == "UP-AMI0001000006"
    assert POPULATION.mrid(5) == UUID("20f16095-862f-588e-961e-e516dba90387")
    assert POPULATION.key(5, KeyPurpose.ENCRYPTION).hex() == "8105e536dec35c5282565868b895b1bb"
    assert POPULATION.noise(3) == 0x28E1F27991B0F3A9


@given(extracted=st.binary(min_size=32, max_size=32), info=st.binary(max_size=80), octets=st.integers(1, 80))
def test_keys_are_expanded_as_hkdf_does_it(extracted: bytes, info: bytes, octets: int) -> None:
    assert expand(extracted, info, octets) == HKDFExpand(SHA256(), octets, info).derive(extracted)


@given(st.integers(0, 999))
def test_every_name_leads_back(index: int) -> None:
    assert POPULATION.index_of_name(POPULATION.name(index)) == index
    assert POPULATION.index_of_logical_device_name(POPULATION.logical_device_name(index)) == index
    assert POPULATION.index_of_system_title(POPULATION.system_title(index)) == index


@pytest.mark.parametrize(
    "name", ["", "AMI", "AMI000100000", "AMI0001001001", "AMI0001000000", "XYZ0001000006", "AMI00010000²6"]
)
def test_a_strangers_name_leads_nowhere(name: str) -> None:
    assert POPULATION.index_of_name(name) is None
    assert POPULATION.index_of_logical_device_name(name.encode("utf-8")) is None
    assert POPULATION.index_of_system_title(name.encode("utf-8")[:8]) is None


def test_no_two_meters_share_anything_and_no_two_purposes_a_key() -> None:
    others = (POPULATION, Identities("43", first=1_000_001, count=1_000))
    keys = [one.key(index, purpose) for one in others for index in range(50) for purpose in KeyPurpose]
    assert len(set(keys)) == len(keys)
    mrids = [one(index) for each in others for one in (each.mrid, each.usage_point_mrid) for index in range(1_000)]
    assert len(set(mrids)) == len(mrids)
    assert all(mrid.version == 5 for mrid in mrids)


def test_longer_keys_are_not_shorter_ones_with_something_behind() -> None:
    assert len(POPULATION.key(0, KeyPurpose.ENCRYPTION, 32)) == 32
    assert POPULATION.key(0, KeyPurpose.ENCRYPTION, 32)[:16] != POPULATION.key(0, KeyPurpose.ENCRYPTION)


@pytest.mark.parametrize("suite", [SecuritySuite(1), SecuritySuite(2)])
def test_private_keys_lie_on_the_curve_of_their_suite(suite: SecuritySuite) -> None:
    signing, agreement = (POPULATION.private_key(7, one, suite) for one in (KeyPurpose.SIGNING, KeyPurpose.AGREEMENT))
    assert signing.suite is agreement.suite is suite
    assert signing.octets != agreement.octets
    assert signing.octets == POPULATION.private_key(7, KeyPurpose.SIGNING, suite).octets


def test_no_key_shows_in_a_repr() -> None:
    shown = repr(Identities("a very secret seed", count=3))
    assert "secret" not in shown
    assert "_extracted" not in shown


@given(st.integers(-5, 2 * SERIALS[-1]), st.integers(-5, 2 * SERIALS[-1]))
def test_a_population_is_numbered_within_a_system_title_or_refused(first: int, count: int) -> None:
    try:
        population = Identities("1", first=first, count=count)
    except IdentityError:
        assert first < 1 or count < 1 or first + count - 1 > SERIALS[-1]
    else:
        assert len(population.system_title(count - 1)) == 8
        assert len(population.logical_device_name(count - 1)) == 16
        with pytest.raises(IndexError):
            population.serial(count)


@pytest.mark.parametrize("manufacturer", ["", "AM", "AMIX", "ami", "A1I", "ÄMI"])
def test_a_manufacturer_is_three_capital_letters(manufacturer: str) -> None:
    with pytest.raises(IdentityError, match="three capital letters"):
        Identities("1", manufacturer=manufacturer)
