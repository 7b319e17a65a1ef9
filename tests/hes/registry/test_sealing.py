"""Keys of meters are sealed for the store: what opens them, what does not, and where master keys come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from entries import MASTER, OTHER_MASTER, Randomly, a_sealer
from hypothesis import given
from hypothesis import strategies as st

from ami_hes.registry import CannotOpen, MasterKey, Sealer, master_keys_of
from ami_hes.store import Sealed
from ami_process.settings import SettingsError

SECRET = b"a key of a meter"


@given(st.binary(max_size=64), st.text(max_size=40), st.text(max_size=40))
def test_what_is_sealed_is_opened_again_and_does_not_show(secret: bytes, device: str, purpose: str) -> None:
    sealer = a_sealer()
    sealed = sealer.seal(secret, device, purpose)
    assert sealer.open(sealed, device) == secret
    assert len(secret) < 4 or secret not in sealed.octets
    assert sealed.octets != sealer.seal(secret, device, purpose).octets, "each seal has a nonce of its own"


@pytest.mark.parametrize(
    ("changed", "device"),
    [
        (lambda one: one, "another device"),
        (lambda one: one._replace(purpose="authentication_key"), "device"),
        (lambda one: one._replace(octets=one.octets[:-1] + bytes([one.octets[-1] ^ 1])), "device"),
        (lambda one: one._replace(octets=b"\xff" + one.octets[1:]), "device"),
        (lambda one: one._replace(octets=b""), "device"),
        (lambda one: one._replace(key_id=OTHER_MASTER.id), "device"),
    ],
)
def test_another_device_purpose_or_octet_does_not_open(changed: object, device: str) -> None:
    sealer = a_sealer(MASTER, OTHER_MASTER)
    sealed: Sealed = changed(sealer.seal(SECRET, "device", "encryption_key"))  # type: ignore[operator]
    with pytest.raises(CannotOpen) as refused:
        sealer.open(sealed, device)
    assert SECRET.hex() not in str(refused.value) and repr(SECRET) not in str(refused.value)


def test_without_the_master_key_nothing_opens() -> None:
    sealed = a_sealer(MASTER).seal(SECRET, "device", "secret")
    with pytest.raises(CannotOpen, match=f"master key {MASTER.id} is not there"):
        a_sealer(OTHER_MASTER).open(sealed, "device")
    with pytest.raises(SettingsError, match=rf"hes\.master_key: .*{MASTER.id}.* the test does not hold it"):
        a_sealer(OTHER_MASTER).demand([MASTER.id])


def test_no_representation_has_the_key() -> None:
    shown = repr(MASTER) + str(MASTER) + MASTER.id
    assert MASTER.octets.hex() not in shown and repr(MASTER.octets) not in shown


class TestPlaces:
    def test_unset_it_is_a_file_beside_the_store_made_when_something_is_sealed(self, tmp_path: Path) -> None:
        masters = master_keys_of(None, tmp_path / "var" / "hes.sqlite", {}, Randomly())
        file = tmp_path / "var" / "hes.master-key"
        assert masters.find("0123456789abcdef") is None
        assert not file.exists()
        first = masters.current()
        assert file.stat().st_mode & 0o777 == 0o600
        assert masters.current() == first == masters.find(first.id)
        assert [path.name for path in file.parent.iterdir()] == ["hes.master-key"]

    def test_a_database_has_no_folder(self) -> None:
        assert master_keys_of(None, "postgresql://u@h/d", {}, Randomly()).place == "the file var/hes.master-key"

    def test_a_new_key_goes_in_front_and_the_older_ones_stay(self, tmp_path: Path) -> None:
        masters = master_keys_of(f"file:{tmp_path / 'keys'}", tmp_path / "x.sqlite", {}, Randomly())
        first = masters.current()
        masters.renew()
        assert masters.current() != first and masters.find(first.id) == first
        assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600

    def test_a_variable_holds_one_or_several(self) -> None:
        value = f"{MASTER.octets.hex()} {OTHER_MASTER.octets.hex()}"
        masters = master_keys_of("env:KEYS", "postgresql://u@h/d", {"KEYS": value}, Randomly())
        assert masters.current() == MASTER
        assert masters.find(OTHER_MASTER.id) == OTHER_MASTER

    @pytest.mark.parametrize(
        ("setting", "why"),
        [
            ("00" * 32, "expected env:NAME or file:PATH"),
            ("env:", "expected env:NAME"),
            ("env:NOWHERE", "no variable NOWHERE"),
            ("env:SHORT", "32 octets"),
            ("env:WORDS", "32 octets"),
            ("env:EMPTY", "holds no key"),
        ],
    )
    def test_what_is_no_key_is_refused_and_not_shown(self, setting: str, why: str) -> None:
        environ = {"SHORT": "5A" * 31, "WORDS": "open sesame", "EMPTY": "\n"}
        with pytest.raises(SettingsError, match=why) as refused:
            master_keys_of(setting, "postgresql://u@h/d", environ, Randomly()).current()
        assert (
            "5A5A" not in str(refused.value) and "sesame" not in str(refused.value) and "0000" not in str(refused.value)
        )

    def test_a_file_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text("00" * 32)
        (tmp_path / "keys").chmod(0o644)
        with pytest.raises(SettingsError, match="chmod 600"):
            master_keys_of(f"file:{tmp_path / 'keys'}", tmp_path / "x.sqlite", {}, Randomly()).current()


def test_a_sealer_asks_for_its_key_once() -> None:
    class Counting:
        place, asked = "the test", 0

        def current(self) -> MasterKey:
            self.asked += 1
            return MASTER

        def find(self, key_id: str) -> MasterKey | None:
            raise AssertionError("it is known")

        def renew(self) -> None: ...

    masters = Counting()
    sealer = Sealer(masters, Randomly())
    for number in range(3):
        assert sealer.open(sealer.seal(SECRET, str(number), "secret"), str(number)) == SECRET
    assert masters.asked == 1
