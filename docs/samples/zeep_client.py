"""A client of the head-end made of nothing but its WSDL: python zeep_client.py URL METER (docs/howto/bring-your-own-cis.md).

It reads a register of a meter, disconnects it, connects it again, and asks for a meter that is not there.
"""

import sys
import uuid
from datetime import UTC, datetime

import zeep

IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"


def client(url: str, service: str) -> zeep.Client:
    """For a service of the head-end, by its WSDL."""
    return zeep.Client(f"{url}/cim/{service}?wsdl", settings=zeep.Settings(strict=True))


def header(verb: str, noun: str) -> dict[str, object]:
    """With a MessageID that was never used before."""
    message_id = str(uuid.uuid4())
    return {
        "Verb": verb,
        "Noun": noun,
        "Timestamp": datetime.now(UTC),
        "Source": "zeep",
        "MessageID": message_id,
        "CorrelationID": message_id,
    }


def show(what: str, answer: object) -> None:
    """The Result, and each Error."""
    print(what, answer.Reply.Result)
    for error in answer.Reply.Error:
        print("  ", error.code, error.ID and error.ID._value_1, error.reason)


def main(url: str, meter: str) -> None:
    """Ask, one after the other."""
    device = {"Names": [{"name": meter}]}
    query = {"EndDevice": [device], "ReadingType": [{"mRID": IMPORT}]}
    answer = client(url, "GetMeterReadings").service.GetMeterReadings(
        Header=header("get", "MeterReadings"), Request={"GetMeterReadings": query}
    )
    show(f"import of {meter}:", answer)
    for reading in answer.Payload.MeterReadings.MeterReading[0].Readings if answer.Payload else ():
        print("  ", reading.timeStamp, reading.value, reading.ReadingType.ref)

    controls = client(url, "ExecuteEndDeviceControls").service
    for what, code, name in (
        ("disconnect", DISCONNECT, meter),
        ("connect", CONNECT, meter),
        ("connect", CONNECT, "M0"),
    ):
        control = {"EndDeviceControlType": {"ref": code}, "EndDevices": [{"Names": [{"name": name}]}]}
        answer = controls.CreateEndDeviceControls(
            Header=header("create", "EndDeviceControls"),
            Payload={"EndDeviceControls": {"EndDeviceControl": [control]}},
        )
        show(f"{what} {name}:", answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
