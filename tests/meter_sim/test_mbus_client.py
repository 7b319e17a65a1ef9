"""M-Bus client: a gas meter that is installed, captured in its period, given keys, and taken away again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bench import Bench, setup
from devices import START, Inside, described

from ami_dlms import data
from ami_dlms.data import Data, to_python
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.mbus_client import gas_litres, sub_meter_litres
from ami_meter_sim.objects.model_files import load_model

MBUS = (72, "0-1:24.1.0")
NOTHING = data.integer(0)
KEY = b"k" * 16
BLOCK = data.octet_string(b"\x0c")


def meter(version: int = 1, period_s: int = 0) -> Inside:
    return Inside(described(MBUS, {4: data.double_long_unsigned(period_s)}, version=version))


def installed(version: int = 1, period_s: int = 0) -> Inside:
    one = meter(version, period_s)
    assert one.act(MBUS, 1, data.unsigned(0)) is ActionResult.SUCCESS
    return one


def test_a_slave_is_installed_once_and_says_who_it_is() -> None:
    one = meter()
    assert [one.read(MBUS, n) for n in range(5, 10)] == [0] * 5
    assert one.act(MBUS, 1, data.unsigned(7)) is ActionResult.SUCCESS
    assert [one.read(MBUS, n) for n in range(5, 10)] == [7, 0x12345678, 0x05A9, 1, 3]
    assert one.act(MBUS, 1, data.unsigned(7)) is ActionResult.OTHER_REASON
    assert one.act(MBUS, 2, NOTHING) is ActionResult.SUCCESS
    assert [one.read(MBUS, n) for n in range(5, 10)] == [0] * 5


@pytest.mark.parametrize("given", [None, data.unsigned(251), data.long(1), data.integer(-1)])
def test_an_address_that_none_can_have_is_refused(given: Data | None) -> None:
    assert meter().act(MBUS, 1, given) is ActionResult.TYPE_UNMATCHED


@pytest.mark.parametrize("method", [2, 3, 5, 6, 7, 8])
def test_without_a_slave_nothing_can_be_done_with_it(method: int) -> None:
    given = {6: data.array(), 7: data.octet_string(KEY), 8: data.octet_string(KEY)}.get(method, NOTHING)
    assert meter().act(MBUS, method, given) is ActionResult.OTHER_REASON


def test_captures_follow_the_period_however_time_passes() -> None:
    one, other = installed(period_s=3600), installed(period_s=3600)
    one.later(hours=5)
    for _ in range(300):
        other.later(minutes=1)
        other.read(MBUS, 10)
    assert one.read(MBUS, 10) == other.read(MBUS, 10) == 5
    assert one.found(MBUS).captured_at == int((START + timedelta(hours=4, minutes=55)).timestamp())
    assert (
        sub_meter_litres(one.device) == sub_meter_litres(other.device) == gas_litres("M1", one.found(MBUS).captured_at)
    )


def test_a_client_captures_at_this_instant() -> None:
    one = installed()
    assert sub_meter_litres(one.device) == 0
    assert one.act(MBUS, 3, NOTHING) is ActionResult.SUCCESS
    first = sub_meter_litres(one.device)
    one.later(days=30)
    assert (sub_meter_litres(one.device), one.read(MBUS, 10)) == (first, 1)
    one.restart()
    assert one.act(MBUS, 3, NOTHING) is ActionResult.SUCCESS
    assert sub_meter_litres(one.device) > first > 0


def test_another_period_forgets_no_capture() -> None:
    one = installed(period_s=3600)
    one.later(hours=2)
    before = one.found(MBUS).captured_at, one.read(MBUS, 10)
    assert one.write(MBUS, 4, data.long_unsigned(60)) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(MBUS, 4, data.double_long_unsigned(86400)) is DataAccessResult.SUCCESS
    assert (one.found(MBUS).captured_at, one.read(MBUS, 10)) == before
    one.later(days=1)
    assert one.read(MBUS, 10) == before[1] + 1


def test_gas_never_flows_back_and_a_year_is_a_year() -> None:
    seconds = [int((START + timedelta(hours=n)).timestamp()) for n in range(0, 8766, 6)]
    counted = [gas_litres("M1", second) for second in seconds]
    assert counted == sorted(counted)
    assert 700_000 < counted[-1] - counted[0] < 2_200_000
    assert gas_litres("M1", 0) == 0
    winter, summer = (counted[n + 120] - counted[n] for n in (0, 4 * 120))
    assert winter > 2 * summer


def test_the_status_of_the_key_follows_what_was_done() -> None:
    one = installed()
    assert one.read(MBUS, 14) == 0
    assert one.act(MBUS, 7, data.octet_string(b"short")) is ActionResult.OTHER_REASON
    assert one.act(MBUS, 7, data.octet_string(KEY)) is ActionResult.SUCCESS
    assert one.read(MBUS, 14) == 1
    assert one.act(MBUS, 8, data.octet_string(b"")) is ActionResult.OTHER_REASON
    assert one.act(MBUS, 8, data.octet_string(KEY[::-1])) is ActionResult.SUCCESS
    assert one.read(MBUS, 14) == 3
    one.act(MBUS, 3, NOTHING)
    assert one.read(MBUS, 14) == 4
    shown = b""
    for number in range(-128, 128):
        try:
            shown += data.encode(one.found(MBUS).read(number))
        except AccessRefused:
            continue
    assert KEY not in shown
    assert one.act(MBUS, 7, data.octet_string(b"")) is ActionResult.SUCCESS
    assert one.read(MBUS, 14) == 0


def test_version_0_has_neither_configuration_nor_key_status() -> None:
    one = installed(0)
    for number in (13, 14):
        with pytest.raises(AccessRefused):
            one.read(MBUS, number)


@pytest.mark.parametrize(
    ("number", "good", "bad"),
    [
        (2, data.octet_string(bytes(6)), data.octet_string(bytes(7))),
        (3, data.array(data.structure(BLOCK, BLOCK)), data.array(*[data.structure(BLOCK, BLOCK)] * 17)),
        (3, data.array(), data.array(data.structure(BLOCK))),
    ],
)
def test_what_may_be_written(number: int, good: Data, bad: Data) -> None:
    one = meter()
    assert one.write(MBUS, number, bad) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(MBUS, number, good) is DataAccessResult.SUCCESS


@pytest.mark.parametrize("number", [1, *range(5, 15)])
def test_what_the_slave_says_can_t_be_written(number: int) -> None:
    assert meter().write(MBUS, number, data.unsigned(1)) is DataAccessResult.READ_WRITE_DENIED


def test_alarm_and_data_for_the_slave() -> None:
    one = installed()
    one.found(MBUS).change("alarm", data.unsigned(3))
    assert one.act(MBUS, 4, NOTHING) is ActionResult.SUCCESS
    assert one.read(MBUS, 12) == 0
    sent = data.structure(BLOCK, BLOCK, data.unsigned(1))
    assert one.act(MBUS, 6, data.array(sent)) is ActionResult.SUCCESS
    assert one.act(MBUS, 6, data.array(*[sent] * 17)) is ActionResult.TYPE_UNMATCHED
    assert one.act(MBUS, 6, data.array(data.structure(BLOCK))) is ActionResult.TYPE_UNMATCHED
    assert one.act(MBUS, 5, NOTHING) is ActionResult.SUCCESS


def test_the_register_and_the_hourly_profile_of_a_gas_meter_show_its_last_capture(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(model=load_model("gas-submeter")))
    volume, rows = (4, "0-1:24.2.1"), (7, "0-1:24.3.0")
    bench.later(hours=30, minutes=20)
    last_hour = bench.at.replace(minute=0, second=0, microsecond=0)
    assert bench.value(volume) == gas_litres(bench.meter.name, int(last_hour.timestamp()))
    assert CosemDateTime.decode(bench.read(volume, 5).value).to_datetime() == last_hour  # type: ignore[arg-type]
    found = [to_python(row) for row in bench.read(rows).value]  # type: ignore[union-attr]
    assert len(found) == 240
    for begin, volume_then, captured in found:
        assert begin == captured
        assert volume_then == gas_litres(bench.meter.name, int(CosemDateTime.decode(begin).to_datetime().timestamp()))
    assert found[0][1] < found[-1][1] == bench.value(volume)
