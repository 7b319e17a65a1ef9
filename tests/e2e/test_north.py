"""The HES as a stranger's tools see it: operations, the generic endpoint, faults."""

from __future__ import annotations

import httpx
from harness import System
from lxml import etree
from patience import PATIENCE_S
from stranger import DISCONNECT, Stranger

GENERIC = """<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<m:RequestMessage xmlns:m="http://iec.ch/TC57/2011/schema/message">
 <m:Header><m:Verb>{verb}</m:Verb><m:Noun>{noun}</m:Noun><m:Timestamp>2026-11-20T12:00:00Z</m:Timestamp>
  <m:MessageID>{message}</m:MessageID><m:CorrelationID>{message}</m:CorrelationID></m:Header>
 <m:Payload><c:EndDeviceControls xmlns:c="http://iec.ch/TC57/2011/EndDeviceControls#"><c:EndDeviceControl>
  <c:EndDeviceControlType ref="{code}"/><c:EndDevices><c:Names><c:name>M1001</c:name></c:Names></c:EndDevices>
 </c:EndDeviceControl></c:EndDeviceControls></m:Payload>
</m:RequestMessage></soap:Body></soap:Envelope>"""
SOAP = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}


def texts(body: bytes, name: str) -> list[str]:
    return [e.text or "" for e in etree.fromstring(body).iter(f"{{*}}{name}")]


def generic(whole: System, **fields: str) -> httpx.Response:
    body = GENERIC.format(
        **({"verb": "create", "noun": "EndDeviceControls", "message": "g-1", "code": DISCONNECT} | fields)
    )
    return httpx.post(f"{whole.hes_url}/cim", content=body, headers=SOAP, timeout=PATIENCE_S)


def test_strict_zeep_lists_every_operation(whole: System) -> None:
    assert Stranger(whole.hes_url).operations() == [
        f"{verb}EndDeviceControls" for verb in ("Cancel", "Change", "Close", "Create", "Delete")
    ]


def test_generic_endpoint_dispatches_on_verb_and_noun(whole: System) -> None:
    answer = generic(whole)
    assert answer.status_code == 200
    assert (
        etree.fromstring(answer.content).find(".//{http://iec.ch/TC57/2011/schema/message}ResponseMessage") is not None
    )
    assert texts(answer.content, "Result") == ["OK"]
    assert whole.hes is not None and whole.hes.wait_for("meter_done")["ok"]


def test_generic_endpoint_refuses_what_it_does_not_know(whole: System) -> None:
    for fields, code in (({"noun": "Unicorns"}, "2.5"), ({"verb": "reply"}, "2.9")):
        answer = generic(whole, message=f"g-{code}", **fields)
        assert texts(answer.content, "Result") == ["FAILED"]
        assert code in texts(answer.content, "code")


def test_unparsable_is_a_soap_fault_with_a_fault_message(whole: System) -> None:
    bomb = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><l>&b;</l>'
    for body in (b"", b"nonsense", bomb, b"<a>" * 5000, GENERIC.replace("Verb", "Berb").encode()):
        answer = httpx.post(f"{whole.hes_url}/cim", content=body, headers=SOAP, timeout=PATIENCE_S)
        assert answer.status_code == 500, body[:40]
        assert texts(answer.content, "faultcode")
        assert texts(answer.content, "Result") == ["FAILED"]
        assert texts(answer.content, "reason")[0]
    assert httpx.get(f"{whole.hes_url}/healthz", timeout=PATIENCE_S).status_code == 200


def test_too_large_a_body_is_refused_while_it_is_read(whole: System) -> None:
    answer = httpx.post(f"{whole.hes_url}/cim", content=b" " * 20_000_000, headers=SOAP, timeout=PATIENCE_S)
    assert answer.status_code in (413, 500)
    assert httpx.get(f"{whole.hes_url}/healthz", timeout=PATIENCE_S).status_code == 200
