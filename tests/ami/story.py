"""What the processes of a demo say, as the events' own contract has it: the makings of the model's and the demo's tests."""

from __future__ import annotations

from typing import Any

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
METERS = ("M1001", "M1002")
CONNECTED = {"output_state": True, "control_state": 1, "control_mode": 4}
DISCONNECTED = {"output_state": False, "control_state": 0, "control_mode": 4}
READY = {"output_state": False, "control_state": 2, "control_mode": 1}
Event = dict[str, Any]


def request_sent(message_id: str, code: str, meters: tuple[str, ...] = METERS, asynchronous: bool = False) -> Event:
    return {
        "event": "request_sent",
        "message_id": message_id,
        "correlation_id": message_id,
        "verb": "create",
        "noun": "EndDeviceControls",
        "code": code,
        "control": "disconnect" if code == DISCONNECT else "connect",
        "meters": list(meters),
        "asynchronous": asynchronous,
    }


def meter_done(message_id: str, code: str, meter: str, /, **other: Any) -> Event:
    """A command done; of `other`, what is a detail of the operation goes there."""
    before, after = (CONNECTED, DISCONNECTED) if code == DISCONNECT else (DISCONNECTED, CONNECTED)
    details = {
        "code": code,
        "control": "disconnect" if code == DISCONNECT else "connect",
        "class_id": 70,
        "obis": "0-0:96.3.10*255",
        "method": 1 if code == DISCONNECT else 2,
        "before": before,
        "after": after,
        "action_result": "success",
    }
    done = {
        "event": "meter_done",
        "message_id": message_id,
        "meter": meter,
        "operation": "disconnect_control",
        "details": {name: other.pop(name, value) for name, value in details.items()},
        "ok": True,
        "reply_code": "0.0",
        "reason": "",
        "ms": 12.3,
    }
    return done | other


def reply_received(message_id: str, result: str = "OK", errors: tuple[Event, ...] = (), ms: float = 20.0) -> Event:
    return {"event": "reply_received", "message_id": message_id, "result": result, "errors": list(errors), "ms": ms}


def read_sent(message_id: str, meters: tuple[str, ...] = METERS) -> Event:
    asked = {"verb": "get", "noun": "MeterReadings", "control": "read"}
    return request_sent(message_id, "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", meters) | asked


def registers_read(message_id: str, *values: tuple[str, str | None], more: int = 0) -> Event:
    """Meters and their import."""
    registers = [
        {"meter": meter, "name": "import", "value": value, "unit": "kWh", "qualities": []} for meter, value in values
    ]
    return {"event": "registers_read", "message_id": message_id, "registers": registers, "more": more}


def dialled_in(meter: str, peer: str) -> Event:
    return {"event": "dialled_in", "meter": meter, "peer": peer, "standing": "proved"}


def notification(**other: Any) -> Event:
    return {
        "event": "notification",
        "message_id": None,
        "transport": "udp",
        "peer": "127.0.0.1:6000",
        "system_title": None,
        "meter": None,
        "secured": False,
        "service": "data-notification",
        "sent_at": None,
        "body": [],
    } | other


def switched(meter: str) -> Event:
    method = "remote_disconnect"
    return {"event": "switched", "meter": meter, "method": method, "before": CONNECTED, "after": DISCONNECTED}


def association(meter: str, what: str, reason: str) -> Event:
    return {"event": "association", "meter": meter, "client_wport": 1, "what": what, "reason": reason}


def cycles(count: int, meters: tuple[str, ...] = METERS) -> tuple[list[Event], list[Event]]:
    """What the CIS and what the HES say in so many rounds in which all goes well."""
    cis: list[Event] = []
    hes: list[Event] = []
    for number in range(count):
        for code in (DISCONNECT, CONNECT):
            message_id = f"{number}-{code}"
            cis += [request_sent(message_id, code, meters), reply_received(message_id)]
            hes += [meter_done(message_id, code, meter) for meter in meters]
    return cis, hes


def request_accepted(message_id: str, code: str = DISCONNECT, meters: tuple[str, ...] = METERS) -> Event:
    return {
        "event": "request_accepted",
        "message_id": message_id,
        "verb": "create",
        "noun": "EndDeviceControls",
        "summary": code,
        "meters": list(meters),
    }


def request_refused(message_id: str | None, code: str = "2.4", reason: str = "No such meter M9") -> Event:
    return {"event": "request_refused", "message_id": message_id, "errors": [{"code": code, "reason": reason}]}


def reply_sent(message_id: str, result: str = "OK", asynchronous: bool = False) -> Event:
    return {
        "event": "reply_sent",
        "message_id": message_id,
        "result": result,
        "ms": 31.0,
        "asynchronous": asynchronous,
    }
