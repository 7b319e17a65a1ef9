"""The payload of RegisterReadings, a noun of this test alone: which register of which meter, and its value in the answer."""

from dataclasses import dataclass

from lxml import etree

from ami_cim.payloads.opaque import OpaquePayload

NOUN = "RegisterReadings"
TAG = f"{{http://iec.ch/TC57/2011/{NOUN}#}}{NOUN}"


@dataclass(frozen=True, slots=True)
class RegisterReading:
    mrid: str
    obis: str
    value: str | None = None


def parse(payload: OpaquePayload) -> RegisterReading:
    element = etree.fromstring(payload.octets)
    return RegisterReading(element.get("mRID", ""), element.get("register", ""), element.text)


def format(reading: RegisterReading) -> OpaquePayload:
    element = etree.Element(TAG, mRID=reading.mrid, register=reading.obis)
    element.text = reading.value
    return OpaquePayload(TAG, etree.tostring(element))
