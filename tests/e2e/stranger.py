"""A stranger's CIS: zeep, which knows nothing but the HES's ``?wsdl``."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import secured
import zeep
from zeep.exceptions import Fault

DISCONNECT = "3.31.0.23"
CONNECT = "3.31.0.18"


@dataclass(frozen=True)
class Answer:
    """What the stranger reads in a ResponseMessage or in a FaultMessage."""

    result: str
    errors: list[Any]
    header: Any

    @property
    def codes(self) -> list[str]:
        return [e.code for e in self.errors]

    @property
    def failures(self) -> list[Any]:
        return [e for e in self.errors if not e.code.startswith("0.")]

    @property
    def reasons(self) -> str:
        return " / ".join(f"{e.reason} {e.details or ''}" for e in self.errors)

    def error_of(self, mrid: str) -> Any:
        return next(e for e in self.errors if e.ID is not None and e.ID["_value_1"] == mrid)


class Stranger:
    def __init__(self, hes_url: str, wsse: Any = None) -> None:
        wsdl = f"{hes_url}/cim/ExecuteEndDeviceControls?wsdl"
        transport = zeep.Transport(session=secured.session())
        self.client = zeep.Client(wsdl, wsse=wsse, transport=transport, settings=zeep.Settings(strict=True))

    def operations(self) -> list[str]:
        (service,) = self.client.wsdl.services.values()
        (port,) = service.ports.values()
        return sorted(port.binding._operations)

    def switch(
        self,
        code: str,
        meters: Sequence[dict[str, Any]] = (),
        *,
        usage_points: Sequence[str] = (),
        verb: str = "create",
        message_id: str | None = None,
        **header: Any,
    ) -> Answer:
        """One EndDeviceControl for these EndDevices ({'mRID': ...} or {'Names': [...]}) and UsagePoints (by name)."""
        message_id = message_id or str(uuid.uuid4())
        control = {
            "EndDeviceControlType": {"ref": code},
            "EndDevices": list(meters),
            "UsagePoints": [{"Names": [{"name": n}]} for n in usage_points],
        }
        head = {
            "Verb": verb,
            "Noun": "EndDeviceControls",
            "Timestamp": datetime.now(UTC),
            "Source": "stranger",
            "MessageID": message_id,
            "CorrelationID": message_id,
        } | header
        operation = getattr(self.client.service, f"{verb.capitalize()}EndDeviceControls")
        try:
            got = operation(Header=head, Payload={"EndDeviceControls": {"EndDeviceControl": [control]}})
        except Fault as fault:
            detail = self.client.wsdl.types.deserialize(fault.detail[0])
            return Answer(detail.Reply.Result, list(detail.Reply.Error), None)
        return Answer(got.Reply.Result, list(got.Reply.Error), got.Header)


def by_mrid(meter: dict[str, Any]) -> dict[str, Any]:
    return {"mRID": meter["mrid"]}


def by_name(meter: dict[str, Any]) -> dict[str, Any]:
    return {"Names": [{"name": meter["name"]}]}
