"""What is known of a meter is known of the device: another one under the same name in the registry begins anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.registry import Registry

SCALER_UNIT = AttributeDescriptor(3, Obis.parse("1-0:1.8.0*255"), 3)


def session(logical_device_name: str) -> Any:
    entry = {
        "name": "M1",
        "mrid": "a",
        "address": "127.0.0.1:4061",
        "authentication": "none",
        "logical_device_name": logical_device_name,
        "device_id": "1",
    }
    (meter,) = Registry([entry]).meters
    return SimpleNamespace(meter=meter)


def test_a_scaler_of_another_device_is_no_changed_one() -> None:
    known = KnownObjects()
    thousands, ones = data.integer(3), data.integer(0)
    assert known.changed(session("XYZ1"), {SCALER_UNIT: thousands}) == set()
    assert known.changed(session("XYZ1"), {SCALER_UNIT: ones}) == {SCALER_UNIT}
    assert known.changed(session("XYZ2"), {SCALER_UNIT: ones}) == set()
    assert known.changed(session("XYZ1"), {SCALER_UNIT: thousands}) == set()
