"""Defects of selective access to profiles (class 7): rows and columns are others than those that were asked for."""

from dataclasses import replace
from typing import Any, ClassVar

from ami_dlms import data
from ami_dlms.association import Get, ItemResult
from ami_dlms.cosem.selection import BY_ENTRY, BY_RANGE, EntryDescriptor, RangeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_meter_sim.faults.defects.defect import Defect
from ami_meter_sim.faults.fault import Item

BUFFER: dict[str, Any] = {"service": "get", "class": 7, "attribute": 2}


class SelectionDefect(Defect):
    """Reads a buffer otherwise than it was asked for."""

    about: ClassVar[dict[str, Any]] = BUFFER

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """The other question; one that can't be read is left to the meter."""
        if not isinstance(item, Get) or item.selection is None:
            return None
        try:
            return self.asked(item)
        except DlmsError:
            return None

    def asked(self, item: Get) -> Get | None:
        """What is read instead; None: what was asked for."""
        return None


class IgnoresRange(SelectionDefect):
    """Give all rows, whatever range was asked for."""

    def asked(self, item: Get) -> Get | None:
        """Without it."""
        return replace(item, selection=None) if _selector(item) == BY_RANGE else None


class IgnoresColumns(SelectionDefect):
    """Give all columns, whichever were asked for."""

    def asked(self, item: Get) -> Get | None:
        """The same rows, whole."""
        if item.selection is None:
            return None
        if _selector(item) == BY_ENTRY:
            entries = replace(EntryDescriptor.decode(item.selection), from_selected_value=1, to_selected_value=0)
            return replace(item, selection=entries.encode())
        return replace(item, selection=replace(RangeDescriptor.decode(item.selection), selected_values=()).encode())


class CountsEntriesFromZero(SelectionDefect):
    """Count rows from 0, so that the first one asked for is the second."""

    def asked(self, item: Get) -> Get | None:
        """One further."""
        if item.selection is None or _selector(item) != BY_ENTRY:
            return None
        entries = EntryDescriptor.decode(item.selection)
        last = entries.to_entry and entries.to_entry + 1
        return replace(item, selection=replace(entries, from_entry=entries.from_entry + 1, to_entry=last).encode())


class RangeIgnoresDeviation(SelectionDefect):
    """Take the ends of a range for the meter's own local time, whatever deviation from UTC the client says."""

    def asked(self, item: Get) -> Get | None:
        """The same digits without a deviation."""
        if item.selection is None or _selector(item) != BY_RANGE:
            return None
        wanted = RangeDescriptor.decode(item.selection)
        ends = replace(wanted, from_value=_local(wanted.from_value), to_value=_local(wanted.to_value))
        return replace(item, selection=ends.encode())


def _selector(item: Get) -> int | None:
    return None if item.selection is None else item.selection.selector


def _local(value: Data) -> Data:
    if value.tag is DataTag.OCTET_STRING and isinstance(value.value, bytes):
        return data.octet_string(replace(CosemDateTime.decode(value.value), deviation_minutes=None).encode())
    if isinstance(value.value, CosemDateTime):
        return data.date_time(replace(value.value, deviation_minutes=None))
    return value
