"""The codes of IEC 61968-9 in words: ReadingTypes, control and event types, reading qualities. Pure; a code that can't be read is UnknownCode."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ami_cli.cim.tables import end_device_numbers
from ami_mapping.controls import CONTROLS
from ami_mapping.events import native_events
from ami_mapping.hints import near_codes
from ami_mapping.lookup import Match, readings
from ami_mapping.qualities import CATEGORIES, SYSTEMS, UnknownQuality, parse_quality, status_bits
from ami_mapping.reading_types import ReadingType, RefusedReadingType

_FOUR = re.compile(r"(?:\d{1,5}|\*)(?:\.\d{1,5}){3}", re.ASCII)
_QUALITIES = {
    "0.0": "data valid",
    "0.1": "data validated",
    "4.1": "overflow",
    "4.2": "partial interval",
    "4.3": "long interval",
    "4.4": "skipped interval",
    "4.5": "test data",
    "4.6": "configuration changed",
    "4.131": "read by hand",
    "5.256": "beyond the expected range",
    "5.257": "error code",
    "5.258": "suspect",
    "5.259": "known missing read",
    "7.0": "edited by hand",
    "8.0": "estimated",
    "10.0": "indeterminate",
    "11.0": "derived",
    "12.0": "projected",
}
"""Category and index; further ones are those that a profile status of the mapping is reported as."""


class UnknownCode(Exception):
    """No such code; `is_well_formed` if it has the form of one and numbers that no list has."""

    def __init__(self, reason: str, *, is_well_formed: bool) -> None:
        super().__init__(reason)
        self.is_well_formed = is_well_formed


@dataclass(frozen=True, slots=True)
class MappingRow:
    """Where a meter has what a ReadingType names: a row of the mapping."""

    id: str
    place: str
    context: str
    meaning: str
    decision: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code in words; `fields` are name, number and word of each of its parts."""

    kind: str
    code: str
    words: str
    fields: tuple[tuple[str, str, str], ...] = ()
    rows: tuple[MappingRow, ...] = ()
    note: str = ""
    served: bool = True
    """Whether our head-end or its mapping knows what to do about it."""


def reading_type(code: str) -> Meaning:
    """A ReadingType by all its 18 fields, and the attributes of a meter that answer it."""
    try:
        found = ReadingType.parse(code)
    except RefusedReadingType as refusal:
        raise UnknownCode(refusal.reason, is_well_formed=False) from None
    unknown = found.unknown()
    if unknown:
        raise UnknownCode(f"{found}: no list of a ReadingType has {', '.join(unknown)}", is_well_formed=True)
    words = found.words()
    fields = tuple((name, str(number), words[name]) for name, number in zip(found._fields, found, strict=True))
    said = " ".join(words[name] for name in _SAID if getattr(found, name))
    try:
        matches = readings().answers(found)
    except RefusedReadingType as refusal:
        near = "; ".join(f"near: {row.code} {row.meaning} ({how})" for row, how in near_codes(readings(), found)[:1])
        return Meaning("ReadingType", str(found), said, fields, (), near or refusal.reason, served=False)
    alias = readings().is_alias(found)
    note = f"an alias of {matches[0].reading_type(found.multiplier, found.currency)}" if alias else ""
    return Meaning("ReadingType", str(found), said, fields, tuple(map(_row, matches)), note)


_SAID = (
    *(
        "macro_period",
        "aggregate",
        "measuring_period",
        "accumulation",
        "flow_direction",
        "commodity",
        "measurement_kind",
    ),
    *("phases", "multiplier", "unit"),
)


def _row(match: Match) -> MappingRow:
    row = match.row
    place = "computed from other rows"
    if row.obis is not None:
        obis = str(row.obis).replace(".t*", f".{match.bindings.tariff}*") if match.bindings.tariff else str(row.obis)
        place = f"class {row.class_id} {obis} attribute {row.attribute}"
    return MappingRow(row.id, place, row.context.name, row.meaning, row.decision)


def control_type(code: str) -> Meaning:
    """An EndDeviceControlType by its four parts, and the COSEM method that carries it out."""
    fields, known = _four_parts("EndDeviceControlType", code, "control")
    control = CONTROLS.get(code)
    if control is None:
        return Meaning(
            "EndDeviceControlType", code, known or _no_word(fields), fields, note="no row of the mapping", served=False
        )
    said = f"done when the meter reads back {control.read_back}"
    row = MappingRow("", control.place, "control", said, control.decision)
    return Meaning("EndDeviceControlType", code, control.name.replace("-", " "), fields, (row,))


def event_type(code: str) -> Meaning:
    """An EndDeviceEventType by its four parts, and the entries of event logs that it is sent for."""
    fields, known = _four_parts("EndDeviceEventType", code, "event")
    native = native_events(code)
    rows = tuple(
        MappingRow("", f"log {row.log}, entry {row.number}", "event log", row.meaning, row.decision) for row in native
    )
    words = known or (native[0].meaning if native else _no_word(fields))
    return Meaning("EndDeviceEventType", code, words, fields, rows, served=bool(native))


def _no_word(fields: tuple[tuple[str, str, str], ...]) -> str:
    return f"{fields[0][2]}, {fields[1][2]}: no word for sub-domain and action is known here"


def _four_parts(kind: str, code: str, part: str) -> tuple[tuple[tuple[str, str, str], ...], str]:
    if _FOUR.fullmatch(code) is None:
        raise UnknownCode(f"{kind} {code} is not four numbers with dots between them", is_well_formed=False)
    device, domain, subdomain, action = code.split(".")
    types, domains = end_device_numbers("type"), end_device_numbers("domain")
    device = "0" if device == "*" else device
    unknown = [
        f"{name} {number}"
        for name, number, known in (("type", device, types), ("domain", domain, domains))
        if number not in known
    ]
    if unknown and not native_events(code):
        raise UnknownCode(f"{kind} {code}: no list that is known here has {', '.join(unknown)}", is_well_formed=True)
    last = "eventOrAction"
    fields = (
        ("type", device, types.get(device, "")),
        ("domain", domain, domains.get(domain, "")),
        ("subDomain", subdomain, "none" if subdomain == "0" else ""),
        (last, action, ""),
    )
    return fields, end_device_numbers(part).get(f"{domain}.{subdomain}.{action}", "")


def quality_type(code: str) -> Meaning:
    """A ReadingQualityType: who says it, of which category, and the index in it."""
    try:
        system, category, index = parse_quality(code)
    except UnknownQuality as problem:
        raise UnknownCode(str(problem), is_well_formed=problem.is_well_formed) from None
    known = {row.quality.partition(".")[2]: row.name for row in status_bits()} | _QUALITIES
    vendor = "of a maker" if index >= 1000 else f"{CATEGORIES[category]}, index {index}"
    words = known.get(f"{category}.{index}", vendor)
    fields = (
        ("system", str(system), SYSTEMS[system]),
        ("category", str(category), CATEGORIES[category]),
        ("index", str(index), ""),
    )
    return Meaning("ReadingQualityType", code, words, fields)
