"""What moves the clock, and times that there are not (C8-02, C8-05): the clock is right again at the end, as well as seconds allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ami_conformance.bench import Bench, first
from ami_conformance.client import Client
from ami_conformance.clock_right import SHIFT_TIME, TOLERANCE_S, date_time, moment
from ami_conformance.findings import Judge, Unsettled
from ami_conformance.object_list import ListedObject
from ami_dlms import data
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.datetimes import CosemDateTime

SHIFT_S = 5


def shift(bench: Bench, judge: Judge) -> None:
    """C8-02."""
    clock = first(bench.objects.of_class(8), "clock (class 8)")
    bench.needs(bool(clock.methods.get(SHIFT_TIME)), f"{clock} may not be shifted (method 6)")
    client = bench.opened()
    method = MethodDescriptor(8, clock.obis, SHIFT_TIME)
    with bench.clock_kept(client, clock.attribute(2)):
        for seconds in (SHIFT_S, -SHIFT_S):
            before, began = _shown(client, clock), bench.way.clock()
            answer = client.action(method, data.long(seconds))
            if not judge.expect(answer.done, f"a shift of {seconds} s is answered by {answer}"):
                return
            moved = (_shown(client, clock) - before).total_seconds() - (bench.way.clock() - began)
            judge.expect(
                abs(moved - seconds) <= TOLERANCE_S, f"a shift of {seconds} s moves the clock by {moved:.0f} s"
            )


def _shown(client: Client, clock: ListedObject) -> datetime:
    found = moment(client.get(clock.attribute(2)).value)
    if found is None:
        raise Unsettled(f"{clock} shows no moment")
    return found


def no_such_time(bench: Bench, judge: Judge) -> None:
    """C8-05."""
    clock = first(bench.objects.of_class(8), "clock (class 8)")
    right = clock.attributes.get(2)
    bench.needs(right is not None and right.writable, f"{clock} may not be set")
    client = bench.opened()
    shown = date_time(client.get(clock.attribute(2)).value)
    bench.needs(shown is not None, f"{clock} shows no date-time")
    assert shown is not None
    cases = {
        "month 13": replace(shown, month=13, day_of_week=None),
        "February 31st": replace(shown, month=2, day=31, day_of_week=None),
        "hour 25": replace(shown, hour=25),
        "no part at all": CosemDateTime(),
    }
    with bench.clock_kept(client, clock.attribute(2)):
        for what, wrong in cases.items():
            before, began = _shown(client, clock), bench.way.clock()
            answer = client.set(clock.attribute(2), data.octet_string(wrong.encode()))
            judge.expect(answer.result != 0, f"a time with {what} is taken with success")
            gone = (_shown(client, clock) - before).total_seconds() - (bench.way.clock() - began)
            judge.expect(abs(gone) <= TOLERANCE_S, f"a time with {what} moves the clock by {gone:.0f} s")


TESTS = {
    "C8-02": shift,
    "C8-05": no_such_time,
}
