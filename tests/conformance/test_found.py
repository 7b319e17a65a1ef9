"""Meters that are wrong in one thing: the test of the plan that is about it says so, over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance_bench import Conformance
from served_meter import WITH_LISTS, profile, served
from wrong_meter import CLOCK, ENERGY, NAME, NOTHING, READ, WRITE, Wrong, line, values

from ami_dlms import data
from ami_dlms.association import Get
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis


def answering(class_id: int, obis: Obis, number: int, answer: Any) -> Callable[[], Wrong]:
    return lambda: Wrong(values(), answers={AttributeDescriptor(class_id, obis, number): answer})


DEFECTS: dict[str, tuple[str, Callable[[], Wrong], str]] = {
    "a scaler of the wrong type": (
        "SV-01", answering(3, ENERGY, 3, data.structure(data.long(0), data.enum(30))), "long, not integer",
    ),
    "a name of another object": ("SV-01", answering(8, CLOCK, 1, data.octet_string(ENERGY)), "logical name is"),
    "a readable attribute that is denied": ("AR-01", answering(1, NAME, 2, DataAccessResult.READ_WRITE_DENIED), "is denied"),
    "a value without the right to read": (
        "AR-01", lambda: Wrong(values(name=line(1, 0, NAME, {1: READ, 2: NOTHING}))), "may not be read",
    ),
    "a clock that stands still": ("C8-01", lambda: Wrong(values()), "stands still"),
    "an energy that falls": ("C3-01", lambda: Wrong(values(), falls=True), "has fallen from"),
    "an energy in volts": ("C3-01", answering(3, ENERGY, 3, data.structure(data.integer(0), data.enum(35))), "has 35"),
    "a class in a version that does not exist": ("C15-01", lambda: Wrong(values(clock=line(8, 9, CLOCK, {1: READ, 2: READ}))), "version 9"),
    "the association is not in its list": (
        "C15-01", lambda: Wrong(values(own=line(15, 1, Obis.parse("0-0:40.0.9*255"), {1: READ}))), "not in its own list",
    ),
    "any object exists": (
        "SV-05", answering(3, Obis.parse("1-0:199.199.199*255"), 2, data.double_long_unsigned(1)), "does not exist",
    ),
    "a logical device name of digits": ("AS-02", answering(1, NAME, 2, data.octet_string(b"12345")), "three letters"),
    "a public client that may write": ("AR-04", lambda: Wrong(values(name=line(1, 0, NAME, {1: READ, 2: READ | WRITE}))), "may write"),
}  # fmt: skip
"""What is wrong -> the test that says so, the meter, and words of its finding."""


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_wrong_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    test, made, words = DEFECTS[name]
    meter = made()
    for descriptor, answer in meter.answers.items():  # what nobody lists exists all the same
        if isinstance(answer, Data):
            meter.values.setdefault(descriptor, answer)
    with served(meter, profile(meter, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run("--host", "127.0.0.1", "--port", str(port), "--test", test)  # type: ignore[arg-type]
    assert found.code == 1
    assert any(words in text for text in found.failed[test]), found.of(test)


def test_the_meter_without_a_defect_has_none_of_these_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the clock, which stands still in all of them."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    meter = Wrong(values())
    tests = {test for test, _, _ in DEFECTS.values()} - {"C8-01"}
    words = [word for test in sorted(tests) for word in ("--test", test)]
    with served(meter, profile(meter, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run(f"127.0.0.1:{port}", *words)  # type: ignore[arg-type]
    assert found.failed == {}


class FailsAfterTheScan(Wrong):
    """Shows its clock once."""

    def carry_out(self, item: Any) -> Any:
        if isinstance(item, Get) and item.descriptor == AttributeDescriptor(8, CLOCK, 2):
            self.read += 1
            if self.read > 1:
                return DataAccessResult.TEMPORARY_FAILURE
        return super().carry_out(item)


def test_a_value_that_does_not_come_any_more_is_no_finding_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a meter that is gone in the middle of a run."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    meter = FailsAfterTheScan(values())
    with served(meter, profile(meter, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run("--host", "127.0.0.1", "--port", str(port), "--test", "C8-01")  # type: ignore[arg-type]
    assert found.of("C8-01")["verdict"] == "inconclusive", found.of("C8-01")
    assert "temporary" in found.of("C8-01")["reason"].lower()
