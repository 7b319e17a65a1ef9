"""What the values of each class say, and whether they agree with each other (C1 to C72): reads alone."""

from __future__ import annotations

from decimal import Decimal

from ami_conformance.bench import Bench, first
from ami_conformance.client import Client
from ami_conformance.clock_right import date_time, moment
from ami_conformance.findings import Judge, Unsettled
from ami_conformance.object_list import ListedObject, word
from ami_dlms.cosem.quantity import ScalerUnit, units
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis

NUMBERS = frozenset(
    {
        DataTag.DOUBLE_LONG, DataTag.DOUBLE_LONG_UNSIGNED, DataTag.INTEGER, DataTag.LONG, DataTag.UNSIGNED,
        DataTag.LONG_UNSIGNED, DataTag.LONG64, DataTag.LONG64_UNSIGNED, DataTag.FLOAT32, DataTag.FLOAT64, DataTag.ENUM,
        DataTag.BCD,
    }
)  # fmt: skip
STRINGS = frozenset({DataTag.OCTET_STRING, DataTag.VISIBLE_STRING, DataTag.UTF8_STRING})
NO_UNIT = 255
ENERGIES = frozenset({30, 31, 32})
COUNTED_UP = frozenset({8, 17, 18, 20})
"""Group D: time integral 1 and the like never fall, but for a reset."""
LOGICAL_DEVICE_NAME, SERIAL_NUMBER = Obis.parse("0-0:42.0.0*255"), Obis.parse("0-0:96.1.0*255")
WATCHED_S = 2.2
DEVIATIONS = range(-840, 841)
DAYS_LONGEST = 840


def parts(value: Data | None) -> tuple[Data, ...]:
    """The elements of an array or structure; none of anything else."""
    if value is not None and value.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        return tuple(value.value)
    return ()


def whole(value: Data | None) -> int | None:
    """A number; None for anything else."""
    found = None if value is None else value.value
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def read(bench: Bench, one: ListedObject, number: int) -> Data | None:
    """A value that was scanned, with its exchange in the report."""
    bench.show(one.attribute(number))
    return bench.value(one.attribute(number))


def data_values(bench: Bench, judge: Judge) -> None:
    """C1-01: values of Data; the names are octet-strings."""
    for one in bench.objects.of_class(1):
        value = bench.value(one.attribute(2))
        if value is None:
            continue
        if one.obis in (LOGICAL_DEVICE_NAME, SERIAL_NUMBER):
            bench.show(one.attribute(2))
            judge.expect(value.tag in STRINGS, f"{one} is {word(value)} and no octet-string")
        else:
            judge.expect(True, "")


def registers(bench: Bench, judge: Judge) -> None:
    """C3-01: a number, a scaler with a unit that exists, the unit of the pack, and counters that do not fall."""
    client = None
    for one in bench.objects.of_class(3, 4):
        value, scaling = bench.value(one.attribute(2)), bench.value(one.attribute(3))
        if value is not None:
            judge.expect(
                value.tag in NUMBERS or value.tag in STRINGS or value.tag is DataTag.NULL_DATA,
                f"{one} holds {word(value)} and no number",
            )
        if scaling is None:
            continue
        try:
            scale = ScalerUnit.decode(scaling)
        except DlmsError as error:
            judge.expect(False, f"{one}: scaler_unit can't be read: {error}")
            bench.show(one.attribute(3))
            continue
        judge.expect(
            scale.unit in units() or scale.unit in (0, NO_UNIT),
            f"{one} has the unit {scale.unit}, which does not exist",
        )
        _unit_fits(bench, judge, one, scale)
        if value is not None and one.obis[0] == 1 and one.obis[3] in COUNTED_UP and one.obis[5] == NO_UNIT:
            client = client or bench.opened()
            again = client.get(one.attribute(2)).value
            before, now = whole(value), whole(again)
            if before is not None and now is not None:
                judge.expect_physics(now >= before, f"{one} has fallen from {before} to {now}")


def _unit_fits(bench: Bench, judge: Judge, one: ListedObject, scale: ScalerUnit) -> None:
    row = bench.expected.objects.get(one.key)
    if row is not None and row.unit is not None and row.unit != NO_UNIT and not row.own_choice:
        judge.expect_pack(scale.unit == row.unit, f"{one} has the unit {scale.unit}, the pack {row.unit}", row.source)
    if row is not None and row.scaler is not None and not row.own_choice and row.unit not in (None, NO_UNIT):
        judge.expect_pack(
            scale.scaler == row.scaler, f"{one} has the scaler {scale.scaler}, the pack {row.scaler}", row.source
        )
    wanted = ENERGY_UNITS.get(one.obis[2]) if one.obis[0] == 1 and one.obis[3] == 8 else None
    if wanted is not None:
        judge.expect(scale.unit == wanted, f"{one} is an energy of unit {wanted} by its name, and has {scale.unit}")


ENERGY_UNITS = {1: 30, 2: 30, 15: 30, 16: 30, 3: 32, 4: 32, 5: 32, 6: 32, 7: 32, 8: 32, 9: 31, 10: 31}
"""Group C of a time integral: active, reactive and apparent energy."""


def demand_registers(bench: Bench, judge: Judge) -> None:
    """C5-01, as far as reading goes: times in order, a period that is one."""
    found = first(bench.objects.of_class(5), "demand register (class 5)")
    for one in bench.objects.of_class(5):
        period, count = whole(read(bench, one, 8)), whole(read(bench, one, 9))
        judge.expect(period is None or period > 0, f"{one} has a period of {period} s")
        judge.expect(count is None or count > 0, f"{one} has {count} periods")
        capture, start = moment(read(bench, one, 6)), moment(read(bench, one, 7))
        if capture is not None and start is not None:
            judge.expect_physics(capture <= start, f"{one}: captured at {capture}, and the period began at {start}")
    judge.note(f"{found} and the others are read only; next_period is not called")


def register_activation(bench: Bench, judge: Judge) -> None:
    """C6-01: the active mask is one of the list, and the lists point to what is assigned."""
    first(bench.objects.of_class(6), "register activation (class 6)")
    for one in bench.objects.of_class(6):
        assigned, masks, active = read(bench, one, 2), read(bench, one, 3), read(bench, one, 4)
        names = [parts(mask)[0].value for mask in parts(masks) if len(parts(mask)) == 2]
        if active is not None and active.value:
            judge.expect(active.value in names, f"{one}: the active mask {active.value!r} is none of the list")
        for mask in parts(masks):
            indexes = [whole(index) or 0 for index in parts(parts(mask)[1])] if len(parts(mask)) == 2 else []
            count = len(parts(assigned))
            judge.expect(all(1 <= index <= count for index in indexes), f"{one}: a mask names registers beyond {count}")


def _shown(bench: Bench, client: Client, clock: ListedObject) -> Data | None:
    """Its time; a meter that is gone meanwhile is no finding about a clock."""
    found = client.get(clock.attribute(2))
    bench.needs(found.value is not None, f"reading {clock} is answered by {found.words}")
    return found.value


def clocks(bench: Bench, judge: Judge) -> None:
    """C8-01: a real moment, the right day of the week, a deviation that fits the time zone, and time that goes on."""
    one = first(bench.objects.of_class(8), "clock (class 8)")
    shown = date_time(read(bench, one, 2))
    if not judge.expect(shown is not None, f"{one}: the time is no date-time of 12 octets") or shown is None:
        return
    _calendar(judge, one, shown)
    _deviation(bench, judge, one, shown)
    client = bench.opened()
    before, began = moment(_shown(bench, client, one)), bench.way.clock()
    bench.way.pause(WATCHED_S)
    after, ended = moment(_shown(bench, client, one)), bench.way.clock()
    if before is None or after is None:
        judge.expect(False, f"{one} shows no single moment")
        return
    gone = (after - before).total_seconds()
    passed = ended - began
    judge.expect_physics(gone > 0, f"{one} stands still: {gone:g} s went by in {passed:.1f} s")
    judge.expect_physics(abs(gone - passed) <= 1.5, f"{one} runs wrong: {gone:g} s went by in {passed:.1f} s")


def _calendar(judge: Judge, one: ListedObject, shown: CosemDateTime) -> None:
    try:
        local = shown.to_datetime(default_deviation=0)
    except DlmsError as error:
        judge.expect(False, f"{one} shows no moment of the calendar: {error}")
        return
    if shown.day_of_week is not None and shown.year and shown.month and shown.day:
        weekday = local.replace(year=shown.year, month=shown.month, day=shown.day).isoweekday()
        judge.expect_physics(
            shown.day_of_week == weekday, f"{one} says day {shown.day_of_week} of the week, and it is day {weekday}"
        )


def _deviation(bench: Bench, judge: Judge, one: ListedObject, shown: CosemDateTime) -> None:
    zone, saving = whole(read(bench, one, 3)), whole(read(bench, one, 7))
    status, deviation = shown.clock_status, shown.deviation_minutes
    judge.expect(zone is None or zone in DEVIATIONS, f"{one} has a time zone of {zone} minutes")
    judge.expect(deviation is None or deviation in DEVIATIONS, f"{one} has a deviation of {deviation} minutes")
    if zone is None or deviation is None:
        return
    summer = status is not None and status != 0xFF and bool(status & 0x80)
    wanted = {zone - (saving or 0), zone + (saving or 0)} if summer else {zone}
    judge.expect(
        deviation in wanted or -deviation in wanted,
        f"{one}: a deviation of {deviation} minutes {'in' if summer else 'outside'} daylight saving does not fit the time zone {zone}",
    )


def sap_assignment(bench: Bench, judge: Judge) -> None:
    """C17-01: the logical devices, with the one that answers, by its name."""
    one = first(bench.objects.of_class(17), "SAP assignment (class 17)")
    rows = [parts(row) for row in parts(read(bench, one, 2))]
    saps = {whole(row[0]): row[1].value for row in rows if len(row) == 2}
    own = bench.way.settings.server_wport
    judge.expect(own in saps, f"{one} does not have the logical device {own} that answers: {sorted(map(str, saps))}")
    name = bench.learned.outcomes.get(_name_of(bench).attribute(2)) if _name_of(bench) else None
    if name is not None and name.value is not None and own in saps:
        judge.expect(
            saps[own] == name.value.value, f"{one} calls the logical device {own} otherwise than {LOGICAL_DEVICE_NAME}"
        )


def _name_of(bench: Bench) -> ListedObject:
    found = bench.objects.find(1, LOGICAL_DEVICE_NAME)
    if found is None:
        raise Unsettled(f"the association shows no {LOGICAL_DEVICE_NAME}")
    return found


def image_transfer(bench: Bench, judge: Judge) -> None:
    """C18-01: a block size, as many bits as blocks, a status that exists."""
    first(bench.objects.of_class(18), "image transfer (class 18)")
    for one in bench.objects.of_class(18):
        size, bits, missing = whole(read(bench, one, 2)), read(bench, one, 3), whole(read(bench, one, 4))
        status = whole(read(bench, one, 6))
        judge.expect(size is None or size > 0, f"{one} has a block size of {size}")
        judge.expect(status is None or status in range(8), f"{one} has the status {status}")
        count = len(bits.value) if bits is not None and bits.tag is DataTag.BIT_STRING else None
        if count is not None and missing is not None:
            taken = bits.value if bits is not None else ()
            wanted = next((number for number, bit in enumerate(taken) if not bit), count)
            judge.expect(
                missing == wanted or (count == 0 and missing == 0) or status == 0,
                f"{one}: first block not transferred is {missing}, the bits say {wanted}",
            )


def monitors(bench: Bench, judge: Judge) -> None:
    """C21-01: as many actions as thresholds, and scripts that exist."""
    first(bench.objects.of_class(21), "register monitor (class 21)")
    for one in bench.objects.of_class(21):
        thresholds, actions = parts(read(bench, one, 2)), parts(read(bench, one, 4))
        if not thresholds and not actions:
            judge.expect(True, "")
            continue
        judge.expect(
            len(actions) == len(thresholds), f"{one} has {len(thresholds)} thresholds and {len(actions)} actions"
        )
        for pair in actions:
            for script in parts(pair):
                _script_exists(bench, judge, one, script)


def _script_exists(bench: Bench, judge: Judge, owner: ListedObject, script: Data) -> None:
    name, selector = (*parts(script), None, None)[:2]
    if name is None or not isinstance(name.value, bytes) or len(name.value) != 6 or not whole(selector):
        return
    table = bench.objects.find(9, Obis(name.value))
    if name.value == bytes(6):
        return
    if not judge.expect(table is not None, f"{owner} calls the script table {Obis(name.value)}, which is not listed"):
        return
    scripts = [whole(parts(row)[0]) for row in parts(bench.value(table.attribute(2)) if table else None) if parts(row)]
    if scripts:
        judge.expect(
            whole(selector) in scripts,
            f"{owner} calls script {whole(selector)} of {Obis(name.value)}, which is not there",
        )


def scripts_listed(bench: Bench, judge: Judge) -> None:
    """Scripts of single action schedules and limiters exist as well: for C22-01 and C71-01 when only reading is allowed."""
    for one in bench.objects.of_class(22):
        script = read(bench, one, 2)
        if script is not None:
            _script_exists(bench, judge, one, script)


def push_setups(bench: Bench, judge: Judge) -> None:
    """C40-01: every object that is pushed is there and may be read."""
    first(bench.objects.of_class(40), "push setup (class 40)")
    for one in bench.objects.of_class(40):
        for item in parts(read(bench, one, 2)):
            found = parts(item)
            if len(found) < 3 or not isinstance(found[1].value, bytes) or len(found[1].value) != 6:
                judge.expect(False, f"{one}: a line of its list names nothing")
                continue
            class_id, name, number = whole(found[0]) or 0, Obis(found[1].value), whole(found[2]) or 0
            listed = bench.objects.find(class_id, name)
            judge.expect(
                listed is not None, f"{one} pushes class {class_id} {name}, which the association does not show"
            )
            if listed is not None and number:
                judge.expect(
                    listed.readable(number), f"{one} pushes attribute {number} of {listed}, which may not be read"
                )


def ip_setup(bench: Bench, judge: Judge) -> None:
    """C41-01: a port that is one, a maximum segment size and a time that make sense."""
    found = bench.objects.of_class(41, 42, 48)
    first(found, "TCP-UDP or IP setup (class 41, 42, 48)")
    for one in bench.objects.of_class(41):
        port, segment, most = (whole(read(bench, one, number)) for number in (2, 4, 5))
        judge.expect(port is None or 0 < port <= 0xFFFF, f"{one} has the port {port}")
        judge.expect(segment is None or 40 <= segment <= 0xFFFF, f"{one} has a segment size of {segment}")
        judge.expect(most is None or most >= 1, f"{one} takes {most} connections")
        if port not in (None, 4059):
            judge.note(f"{one} has the port {port}, not 4059")
    for one in found:
        judge.expect(True, str(one))


def security_setup(bench: Bench, judge: Judge) -> None:
    """C64-01: policy, suite and titles are those of the session."""
    first(bench.objects.of_class(64), "security setup (class 64)")
    security = bench.way.settings.security
    bench.needs(security is not None, "the association has no keys")
    assert security is not None
    client = bench.opened()
    meter_title = None if client.protection is None else client.protection.peer_title
    titles = []
    for one in bench.objects.of_class(64):
        policy, suite = whole(read(bench, one, 2)), whole(read(bench, one, 3))
        title = read(bench, one, 5)
        judge.expect(suite is None or suite in (0, 1, 2), f"{one} has the suite {suite}")
        if policy is not None and one.version == 0:
            judge.expect(policy in range(4), f"{one} has the policy {policy}")
        if title is not None and title.value:
            titles.append(title.value)
            judge.expect(len(title.value) == 8, f"{one}: the meter's title has {len(title.value)} octets")
    if titles and meter_title is not None:
        judge.expect(
            any(one == meter_title for one in titles),
            f"no security setup has the title {meter_title.hex()} of the session",
        )
    own = [one for one in bench.objects.of_class(64) if one.obis == Obis.parse("0-0:43.0.0*255")]
    for one in own:
        suite = whole(bench.value(one.attribute(3)))
        judge.expect(suite is None or suite == security.suite, f"{one} has suite {suite}, the session {security.suite}")


def disconnect_control(bench: Bench, judge: Judge) -> None:
    """C70-01: output, state and mode agree."""
    first(bench.objects.of_class(70), "disconnect control (class 70)")
    for one in bench.objects.of_class(70):
        output, state, mode = read(bench, one, 2), whole(read(bench, one, 3)), whole(read(bench, one, 4))
        judge.expect(state is None or state in (0, 1, 2), f"{one} has the state {state}")
        judge.expect(mode is None or mode in range(8) or mode >= 128, f"{one} has the mode {mode}")
        if output is not None and state is not None:
            closed = bool(output.value)
            judge.expect(
                closed == (state == 1), f"{one}: the output is {'closed' if closed else 'open'}, and the state {state}"
            )


def limiters(bench: Bench, judge: Judge) -> None:
    """C71-01, as far as reading goes: what is monitored is there."""
    first(bench.objects.of_class(71), "limiter (class 71)")
    for one in bench.objects.of_class(71):
        monitored = parts(read(bench, one, 2))
        if len(monitored) == 3 and isinstance(monitored[1].value, bytes) and any(monitored[1].value):
            name = Obis(monitored[1].value)
            judge.expect(
                bench.objects.find(whole(monitored[0]) or 0, name) is not None,
                f"{one} monitors {name}, which is not listed",
            )


def mbus_clients(bench: Bench, judge: Judge) -> None:
    """C72-01: numbers of a device that is there are BCD, and its address fits."""
    first(bench.objects.of_class(72), "M-Bus client (class 72)")
    for one in bench.objects.of_class(72):
        address, number = whole(read(bench, one, 5)), whole(read(bench, one, 6))
        judge.expect(address is None or 0 <= address <= 255, f"{one} has the address {address}")
        if number:
            judge.expect(
                f"{number:X}".isdecimal() or number <= 99_999_999,
                f"{one}: the identification {number:#x} is no BCD number",
            )


def script_tables(bench: Bench, judge: Judge) -> bool:
    """The script tables can be read; whether there are any."""
    for one in bench.objects.of_class(9):
        scripts = read(bench, one, 2)
        judge.expect(
            scripts is None or all(len(parts(row)) == 2 for row in parts(scripts)), f"{one}: its scripts can't be read"
        )
    return bool(bench.objects.of_class(9))


def columns_of(bench: Bench, one: ListedObject) -> tuple[CaptureObject, ...]:
    """The capture objects of a profile; Unsettled where they can't be read."""
    found = bench.value(one.attribute(3))
    try:
        return tuple(CaptureObject.decode(item) for item in parts(found))
    except DlmsError as error:
        raise Unsettled(f"{one}: its capture objects can't be read: {error}") from None


def as_decimal(value: Data, scale: ScalerUnit | None) -> Decimal | None:
    """A number with its power of ten."""
    number = value.value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return Decimal(str(number)).scaleb(0 if scale is None else scale.scaler)


TESTS = {
    "C1-01": data_values,
    "C3-01": registers,
    "C6-01": register_activation,
    "C8-01": clocks,
    "C17-01": sap_assignment,
    "C18-01": image_transfer,
    "C21-01": monitors,
    "C40-01": push_setups,
    "C41-01": ip_setup,
    "C64-01": security_setup,
    "C70-01": disconnect_control,
    "C72-01": mbus_clients,
}
