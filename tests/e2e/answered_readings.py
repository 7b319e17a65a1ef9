"""Readings as they come in the XML of an answer or an event, for who knows no more of them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from lxml import etree

from ami_cim.schema import schema_directory

PAYLOAD = "{http://iec.ch/TC57/2011/MeterReadings#}MeterReadings"
SCHEMA = etree.XMLSchema(file=str(schema_directory() / "xsd/MeterReadings.xsd"))


class Value(NamedTuple):
    """A reading as it came."""

    text: str
    at: datetime
    source: str
    qualities: tuple[str, ...]


def found(answer: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in answer.iter(f"{{*}}{name}")]


def values(answer: etree._Element, part: str = "Readings") -> dict[str, dict[str, list[Value]]]:
    """By mRID of the meter and ReadingType, out of the one payload, which its schema takes."""
    (payload,) = answer.iter(PAYLOAD)
    SCHEMA.assertValid(payload)
    by_meter: dict[str, dict[str, list[Value]]] = {}
    for one in payload.iterfind("{*}MeterReading"):
        of_meter = by_meter.setdefault(one.findtext("{*}Meter/{*}mRID") or "", {})
        for reading in one.iterfind(f"{{*}}{part}"):
            (named,) = reading.iterfind("{*}ReadingType")
            rows = [reading] if part == "Readings" else reading.findall("{*}IntervalReadings")
            of_meter.setdefault(named.get("ref") or "", []).extend(map(_value, rows))
    return by_meter


def _value(row: etree._Element) -> Value:
    qualities = tuple(one.get("ref") or "" for one in row.iterfind("{*}ReadingQualities/{*}ReadingQualityType"))
    at = datetime.fromisoformat(row.findtext("{*}timeStamp") or "")
    return Value(row.findtext("{*}value") or "", at, row.findtext("{*}source") or "", qualities)
