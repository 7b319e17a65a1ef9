"""OperationSets as they come over the wire."""

from __future__ import annotations

from north_bench import Cis, mrid
from reading_bench import AT, CODE

MESSAGE = "http://iec.ch/TC57/2011/schema/message"
OURS = "http://iec.ch/TC57/2011/{}#"
C4E = "http://iec.ch/TC57/CIM-c4e#"


def control(code: str, *meters: str, namespace: str = OURS.format("EndDeviceControls")) -> tuple[str, str, str]:
    devices = "".join(f"<EndDevices><Names><name>{one}</name></Names></EndDevices>" for one in meters)
    inside = f'<EndDeviceControlType ref="{code}"/>{devices}'
    payload = (
        f'<EndDeviceControls xmlns="{namespace}"><EndDeviceControl>{inside}</EndDeviceControl></EndDeviceControls>'
    )
    return "create", "EndDeviceControls", payload


def get(*meters: int, namespace: str = OURS.format("GetMeterReadings")) -> tuple[str, str, str]:
    devices = "".join(f"<EndDevice><mRID>{mrid(one)}</mRID></EndDevice>" for one in meters)
    kind = f"<ReadingType><mRID>{CODE}</mRID></ReadingType>"
    return "get", "MeterReadings", f'<GetMeterReadings xmlns="{namespace}">{devices}{kind}</GetMeterReadings>'


def config(noun: str) -> tuple[str, str, str]:
    one = "Meter" if noun == "MasterDataLinkageConfig" else noun.removesuffix("Config")
    return "create", noun, f'<{noun} xmlns="{C4E}"><{one}><Names><name>x</name></Names></{one}></{noun}>'


def a_set(
    *operations: tuple[str, str, str], flags: str = "", message_id: str = "set-1", extra: str = "", head: str = ""
) -> bytes:
    inside = "".join(
        f"<m:Operation><m:operationId>{number}</m:operationId><m:noun>{noun}</m:noun><m:verb>{verb}</m:verb>"
        f"<m:elementOperation>false</m:elementOperation>{extra}{payload}</m:Operation>"
        for number, (verb, noun, payload) in enumerate(operations, 1)
    )
    return (
        f'<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><m:RequestMessage xmlns:m="{MESSAGE}"><m:Header>'
        f"<m:Verb>execute</m:Verb><m:Noun>OperationSet</m:Noun><m:Timestamp>{AT.isoformat()}</m:Timestamp><m:Source>C4E</m:Source>"
        f"{head}<m:MessageID>{message_id}</m:MessageID><m:CorrelationID>{message_id}</m:CorrelationID></m:Header>"
        f"<m:Payload><m:OperationSet>{flags}{inside}</m:OperationSet></m:Payload></m:RequestMessage></S:Body></S:Envelope>"
    ).encode()


SEQUENCE = "<m:enforceMsgSequence>true</m:enforceMsgSequence>"
INTEGRITY = "<m:enforceTransactionalIntegrity>true</m:enforceTransactionalIntegrity>"


def later(cis: Cis, *operations: tuple[str, str, str], message_id: str = "set-1") -> bytes:
    head = f"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>{cis.url}</m:ReplyAddress>"
    return a_set(*operations, head=head, message_id=message_id)
