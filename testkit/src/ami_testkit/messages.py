"""A CIM message as a test looks at it: header, result, codes by meter, values, XPath; also one that is wrong, as far as it can be read.

Elements are found by their local names, so that a message in another dialect is read as well; `schema_problem` says what the XSD says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any

from lxml import etree

from ami_cim import ns, soap, wire
from ami_cim.errors import CimError
from ami_cim.limits import for_peer
from ami_cim.schema import Schemas
from ami_cim.xml import parse

LIMITS = for_peer(16_000_000)
MOST_SHOWN = 8
PREFIXES = {"m": ns.MESSAGE, "p": ns.MESSAGE, "w": ns.MESSAGE}
"""Of `Message.xpath`; what `p` and `w` are is said by the message, if it has a payload and a body."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A Reply/Error: its code, what it is about (mRID or name), and why."""

    code: str
    about: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a meter: `at` is the end of an interval, or when a register was read."""

    meter: str
    reading_type: str
    value: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """An EndDeviceEvent: its own mRID, its code as EndDeviceEventType says it, the names and mRID of its meter, when it was."""

    mrid: str
    code: str
    meters: tuple[str, ...]
    at: str
    reason: str | None


@dataclass(frozen=True)
class Message:
    """One message as it came: `octets` are those of the SOAP envelope, `status` is that of the HTTP response it was in, if it was in one."""

    octets: bytes = field(repr=False)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def _read(self) -> tuple[Any, str | None]:
        """What is in the SOAP body, and why there is nothing."""
        try:
            return soap.unwrap(parse(self.octets, LIMITS)), None
        except CimError as problem:
            return None, str(problem)

    @property
    def problem(self) -> str | None:
        """Why it is no message in a SOAP envelope; None if it is one."""
        return self._read[1]

    @cached_property
    def schema_problem(self) -> str | None:
        """What its schema has against it; None if that takes it as a request, a response, an event or a fault."""
        if self.problem is not None:
            return self.problem
        if self.is_fault:
            return None
        name = etree.QName(self._read[0]).localname
        late = self._text("Header/Verb") != "reply" and self._one("Reply") is None
        readers = (wire.read_response,) if not late else (wire.read_request, wire.read_delivery)
        first: str | None = None
        for read in readers:
            try:
                read(self.octets, _schemas(), LIMITS)
                return None
            except CimError as problem:
                first = first or f"{name}: {problem}"
        return first

    # --- what it is

    @property
    def verb(self) -> str | None:
        """Header/Verb."""
        return self._text("Header/Verb")

    @property
    def noun(self) -> str | None:
        """Header/Noun."""
        return self._text("Header/Noun")

    @property
    def message_id(self) -> str | None:
        """Header/MessageID."""
        return self._text("Header/MessageID")

    @property
    def correlation_id(self) -> str | None:
        """Header/CorrelationID."""
        return self._text("Header/CorrelationID")

    @property
    def is_reply(self) -> bool:
        """Whether it has a Reply in it, as responses do, now or late."""
        return self._one("Reply") is not None

    @property
    def is_fault(self) -> bool:
        """Whether it is a SOAP fault."""
        return self._read[0] is not None and soap.is_fault(self._read[0])

    @property
    def result(self) -> str | None:
        """Reply/Result: OK, PARTIAL or FAILED; of a fault that in its FaultMessage."""
        return self._text("Reply/Result")

    @cached_property
    def errors(self) -> tuple[Problem, ...]:
        """Every Reply/Error but 0.x, which are none."""
        found = []
        for one in self._all("Reply/Error"):
            code = _child_text(one, "code") or ""
            if not code.startswith("0."):
                found.append(Problem(code, _child_text(one, "ID"), _child_text(one, "reason")))
        return tuple(found)

    @property
    def codes(self) -> dict[str, str]:
        """Codes by the meter that they are about; `""` is what is about none."""
        return {one.about or "": one.code for one in self.errors}

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every value of registers and intervals; a meter is its name, or its mRID where no name is there."""
        found = []
        for of_meter in self._all("Payload/MeterReadings/MeterReading"):
            meter = _child_text(of_meter, "Meter/Names/name") or _child_text(of_meter, "Meter/mRID") or ""
            for one in _children(of_meter, "Readings"):
                found.append(_reading(meter, one, one))
            for block in _children(of_meter, "IntervalBlocks"):
                found += [_reading(meter, block, one) for one in _children(block, "IntervalReadings")]
        return tuple(found)

    @cached_property
    def device_events(self) -> tuple[DeviceEvent, ...]:
        """Every EndDeviceEvent."""
        return tuple(_device_event(one) for one in self._all("Payload/EndDeviceEvents/EndDeviceEvent"))

    @cached_property
    def meters(self) -> frozenset[str]:
        """Names and mRIDs of all meters that its payload or request names, and those that its errors are about."""
        names = {text for path in ("mRID", "Names/name") for one in self._devices for text in _texts(one, path)}
        return frozenset(names | {one.about for one in self.errors if one.about})

    @property
    def _devices(self) -> list[Any]:
        body = self._read[0]
        if body is None:
            return []
        return [one for name in ("EndDevices", "EndDevice", "Meter", "Assets") for one in body.iter(f"{{*}}{name}")]

    # --- looking into it

    def xpath(self, expression: str) -> list[Any]:
        """What an XPath 1.0 expression finds below the SOAP body. Prefixes: `m` the envelope of IEC 61968-100, `p` the payload, `w` the wrapper; `*[local-name()='X']` always works."""
        body = self._read[0]
        if body is None:
            return []
        payload = next(iter(self._all("Payload/*")), None)
        prefixes = PREFIXES | {"w": etree.QName(body).namespace or ns.MESSAGE}
        prefixes["p"] = (etree.QName(payload).namespace if payload is not None else None) or ns.MESSAGE
        found = body.xpath(expression, namespaces=prefixes)
        return found if isinstance(found, list) else [found]

    def holds(self, expression: str) -> bool:
        """Whether the expression is true, or finds something."""
        found = self.xpath(expression)
        return bool(found) and found != [False]

    def summary(self) -> str:
        """In one line, for people."""
        if self.problem is not None:
            return f"{len(self.octets):,} octets that are no message: {self.problem}"
        what = "SOAP fault" if self.is_fault else f"{self.verb} {self.noun}"
        about = f" to {self.correlation_id}" if self.is_reply and self.correlation_id else ""
        result = f": {self.result}" if self.result else ""
        errors = ", ".join(f"{one.code} for {one.about or 'all'}" for one in self.errors[:MOST_SHOWN])
        more = f" and {len(self.errors) - MOST_SHOWN} more" if len(self.errors) > MOST_SHOWN else ""
        events = ", ".join(f"{one.code} at {'/'.join(one.meters)}" for one in self.device_events[:MOST_SHOWN])
        return f"{what}{about}{result}" + (f" ({errors}{more})" if errors else "") + (f": {events}" if events else "")

    def expect(
        self, *, result: str | None = None, codes: Mapping[str, str] | None = None, xpath: str | None = None
    ) -> "Message":
        """Itself; AssertionError with what came instead if it differs. `codes` are all codes, by meter."""
        if different := differences(self, result=result, codes=codes, xpath=xpath):
            raise AssertionError(f"{self.summary()}\n  " + "\n  ".join(different))
        return self

    # --- inside

    def _one(self, path: str) -> Any:
        return next(iter(self._all(path)), None)

    def _all(self, path: str) -> list[Any]:
        body = self._read[0]
        if body is None:
            return []
        if soap.is_fault(body):
            detail = body.find("detail")
            body = detail[0] if detail is not None and len(detail) else body
        return list(_children(body, path))

    def _text(self, path: str) -> str | None:
        one = self._one(path)
        return None if one is None else (one.text or "").strip()


def differences(
    message: Message,
    *,
    result: str | None = None,
    codes: Mapping[str, str] | None = None,
    xpath: str | None = None,
    noun: str | None = None,
    verb: str | None = None,
) -> list[str]:
    """In what a message is not what was expected, in sentences; nothing: it is."""
    found = [
        f"{name} is {is_!r}, expected {wanted!r}"
        for name, is_, wanted in (
            ("noun", message.noun, noun),
            ("verb", message.verb, verb),
            ("result", message.result, result),
        )
        if wanted is not None and is_ != wanted
    ]
    if codes is not None and message.codes != dict(codes):
        found.append(f"codes are {message.codes or 'none'}, expected {dict(codes) or 'none'}")
    if xpath is not None and not message.holds(xpath):
        found.append(f"nothing is found by {xpath}")
    return found


@cache
def _schemas() -> Schemas:
    return Schemas()


def _children(element: Any, path: str) -> Any:
    return element.iterfind("/".join(f"{{*}}{name}" if name != "*" else "*" for name in path.split("/")))


def _texts(element: Any, path: str) -> list[str]:
    return [(one.text or "").strip() for one in _children(element, path)]


def _child_text(element: Any, path: str) -> str | None:
    return next(iter(_texts(element, path)), None)


def _reading(meter: str, typed: Any, one: Any) -> Reading:
    reading_type = next(iter(_children(typed, "ReadingType")), None)
    at = _child_text(one, "timeStamp")
    code = "" if reading_type is None else reading_type.get("ref") or ""
    return Reading(meter, code, _child_text(one, "value") or "", None if at is None else datetime.fromisoformat(at))


def _device_event(one: Any) -> DeviceEvent:
    code = next(iter(_children(one, "EndDeviceEventType")), None)
    meters = (*_texts(one, "Assets/Names/name"), *_texts(one, "Assets/mRID"))
    at = _child_text(one, "createdDateTime") or ""
    ref = "" if code is None else code.get("ref") or ""
    return DeviceEvent(_child_text(one, "mRID") or "", ref, meters, at, _child_text(one, "reason"))
