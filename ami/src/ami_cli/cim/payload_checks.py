"""What can be wrong with a payload beyond its schema: codes, moments and values that contradict themselves, whatever noun it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from ami_cim.errors import InvalidMessage
from ami_cim.xml import Element, parse_datetime
from ami_cli.cim.codes import Meaning, UnknownCode, control_type, event_type, quality_type, reading_type
from ami_cli.cim.findings import Finding, Level, error, line_of, name_of, printable, text_of, warning
from ami_cli.cim.recognise import Message

MOST_OF_A_RULE = 10
"""Findings of one kind that are written out; the last of them says that there are more."""
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d+|[+-]?INF|NaN", re.ASCII)
_MOMENTS = frozenset(
    {"timeStamp", "reportedDateTime", "createdDateTime", "start", "end", "Timestamp", "StartTime", "EndTime"}
)
CODED: dict[str, Callable[[str], Meaning]] = {
    "ReadingType": reading_type,
    "EndDeviceControlType": control_type,
    "EndDeviceEventType": event_type,
    "ReadingQualityType": quality_type,
}
"""Elements that name a code by `ref`, by mRID or by name, and how each is read."""


def check_codes(message: Message) -> Iterator[Finding]:
    """Every code is one, in numbers that its lists have."""
    for element in message.body.iter("*") if message.body is not None else ():
        read = CODED.get(name_of(element))
        if read is None:
            continue
        code = code_of(element)
        if not code:
            if _stands_for_a_code(element):
                reason = f"{name_of(element)} has no ref: what it is of stays unsaid"
                yield error("code-missing", element, reason, f"IEC 61968-9, {name_of(element)}")
            continue
        try:
            read(code)
        except UnknownCode as unknown:
            level = Level.WARNING if unknown.is_well_formed else Level.ERROR
            rule = "code-unknown" if unknown.is_well_formed else "code-malformed"
            breaks = f"IEC 61968-9, {name_of(element)}"
            yield Finding(rule, level, str(unknown), breaks, line_of(element), name_of(element))


def code_of(element: Element) -> str:
    """The code that such an element names: by its attribute, its mRID, or a name that is made of numbers."""
    said = element.get("ref")
    if said is None:
        texts = [text_of(one) for one in element.iter("*") if name_of(one) in ("mRID", "name") or one is element]
        said = next((text for text in texts if text[:1].isdigit() or text[:1] == "-"), "")
    return printable(said.strip())


def _stands_for_a_code(element: Element) -> bool:
    """An element without children that a value or a control is of; in a query and among the types one may say nothing."""
    parent = element.getparent()
    return len(element) == 0 and name_of(parent) in ("IntervalBlocks", "Readings", "EndDeviceControl", "EndDeviceEvent")


def check_moments(message: Message) -> Iterator[Finding]:
    """A moment has an offset, and an interval doesn't end before it starts."""
    for element in message.body.iter("*") if message.body is not None else ():
        if name_of(element) in _MOMENTS and text_of(element):
            moment = _moment(element)
            if moment is not None and not _has_offset(text_of(element)):
                reason = f"{text_of(element)} has no offset from UTC, so it is another moment for every reader"
                yield warning("offset-missing", element, reason, "XML Schema, dateTime", "write Z or +01:00 behind it")
        children = {name_of(child): child for child in element.iterchildren("*")} if len(element) in (1, 2) else {}
        if children.keys() == {"start", "end"}:
            start, end = _moment(children["start"]), _moment(children["end"])
            if start is not None and end is not None and end < start:
                yield error(
                    "interval-reversed",
                    element,
                    f"{name_of(element)} ends before it starts",
                    "IEC 61968-9, DateTimeInterval",
                )


def check_values(message: Message) -> Iterator[Finding]:
    """A value of a reading is a plain decimal number."""
    for element in _readings(message):
        for child in element.iterchildren("*"):
            text = text_of(child)
            if name_of(child) == "value" and text and _DECIMAL.fullmatch(text) is None:
                what = "is a float that some readers can't take" if _FLOAT.fullmatch(text) else "is no number"
                reason = f"The value {text} {what}"
                make = warning if _FLOAT.fullmatch(text) else error
                yield make(
                    "value-not-decimal",
                    child,
                    reason,
                    "IEC 61968-9, value of a reading",
                    "write a plain decimal number",
                )


def check_repeated_values(message: Message) -> Iterator[Finding]:
    """No block has two values for one moment that differ."""
    for block in message.body.iter("*") if message.body is not None else ():
        if name_of(block) != "IntervalBlocks":
            continue
        values: dict[str, str] = {}
        for reading in block.iterchildren("*"):
            said = {name_of(one): text_of(one) for one in reading.iterchildren("*")}
            at, value = said.get("timeStamp", ""), said.get("value", "")
            if at and values.setdefault(at, value) != value:
                reason = f"{at} has the value {values[at]} and the value {value} in one block"
                yield error("value-contradicts", reading, reason, "IEC 61968-9, IntervalBlocks")


def check_operations(message: Message) -> Iterator[Finding]:
    """The operations of an OperationSet can be told apart, and each says what it does."""
    for payload in message.payloads():
        if name_of(payload) != "OperationSet":
            continue
        seen: set[str] = set()
        for operation in payload.iterchildren("*"):
            if name_of(operation) != "Operation":
                continue
            said = {name_of(one): text_of(one) for one in operation.iterchildren("*")}
            number = said.get("operationId", "")
            if not number or number in seen:
                what = f"has the operationId {number} of another one" if number else "has no operationId"
                yield error(
                    "operation-id",
                    operation,
                    f"An Operation {what}: no Error can point at it",
                    "IEC 61968-100, OperationType",
                )
            seen.add(number)
            if not said.get("verb") or not said.get("noun"):
                reason = f"The Operation {number} says no {'noun' if said.get('verb') else 'verb'}"
                yield warning("operation-incomplete", operation, reason, "IEC 61968-100, OperationType")


def _readings(message: Message) -> Iterator[Element]:
    for element in message.body.iter("*") if message.body is not None else ():
        if name_of(element) in ("Readings", "IntervalReadings"):
            yield element


def _moment(element: Element) -> datetime | None:
    try:
        return parse_datetime(element.text or "")
    except InvalidMessage:
        return None


def _has_offset(text: str) -> bool:
    return text.endswith("Z") or text[-6:-5] in ("+", "-")


CHECKS = (check_codes, check_moments, check_values, check_repeated_values, check_operations)
