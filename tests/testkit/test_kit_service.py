"""The kit by REST, as a program in another language has it: only HTTP and the schema are known."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from patience import PATIENCE_S


@pytest.fixture(scope="module")
def kit() -> Iterator[httpx.Client]:
    line = [sys.executable, "-m", "ami_testkit", "serve", "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with httpx.Client(
            base_url=f"http://{ready['listen'][0]}/api/v1", timeout=PATIENCE_S, trust_env=False
        ) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def ask(kit: httpx.Client, method: str, path: str, **body: object) -> tuple[int, object]:
    answer = kit.request(method, path, **({"json": body} if method == "POST" else {}))
    return answer.status_code, answer.json()


def test_a_system_from_its_start_to_its_end(kit: httpx.Client) -> None:
    status, system = ask(kit, "POST", "/systems", meters=2, seed=7)
    assert status == 200 and isinstance(system, dict)
    path = f"/systems/{system['id']}"
    order = ORDER.format(late=system["late_url"])

    assert ask(kit, "POST", f"{path}/faults", fault="twice", on="reply", when={"noun": "EndDeviceControls"})[0] == 200
    assert httpx.post(f"{system['hes_url']}/cim", content=order, headers=XML, timeout=PATIENCE_S).status_code == 200
    status, came = ask(kit, "POST", f"{path}/expect/messages", noun="EndDeviceControls", count=2, within_s=60)
    assert status == 200 and isinstance(came, list)
    assert [(one["result"], one["correlation_id"], one["problem"]) for one in came] == [("OK", "order-1", None)] * 2
    status, said = ask(kit, "POST", f"{path}/expect/reply", to="order-1", within_s=0)
    assert status == 409 and "one reply to order-1 was expected and 2 came" in str(said)
    assert ask(kit, "POST", f"{path}/expect/switch", meter="M1001", connected=False)[0] == 200
    status, said = ask(kit, "POST", f"{path}/expect/switch", meter="M1001", connected=True)
    assert status == 409 and "M1001 was expected to be connected" in str(said)

    _, passed = ask(kit, "GET", f"{path}/messages")
    assert isinstance(passed, list) and {one["leg"] for one in passed} >= {"request", "answer", "reply", "receipt"}
    apdus = kit.get(f"{path}/apdus", params={"meter": "M1001"}).json()
    assert apdus and all(bytes.fromhex(one["octets"]) for one in apdus)
    _, faults = ask(kit, "GET", f"{path}/faults")
    assert isinstance(faults, list) and [(one["fault"], one["happened"]) for one in faults] == [("twice", 1)]

    assert ask(kit, "POST", f"{path}/reset")[0] == 200
    assert ask(kit, "GET", f"{path}/inbox") == (200, []) == ask(kit, "GET", f"{path}/faults")
    assert ask(kit, "POST", f"{path}/expect/switch", meter="M1001", connected=True)[0] == 200
    _, before = ask(kit, "GET", f"{path}/clock")
    _, after = ask(kit, "POST", f"{path}/clock", advance_s=3600)
    assert isinstance(before, dict) and isinstance(after, dict) and after["now"] > before["now"]
    assert ask(kit, "DELETE", path) == (200, {"ended": system["id"]})
    assert ask(kit, "GET", "/systems") == (200, [])


def test_what_is_wrong_is_refused_in_words(kit: httpx.Client) -> None:
    for method, path, body, status, said in (
        ("POST", "/systems", {"meters": 0}, 422, "meters: Input should be greater than or equal to 1"),
        ("POST", "/systems", {"meters": 1, "directory": "/tmp"}, 422, "directory: Extra inputs are not permitted"),
        ("POST", "/systems", {"meters": 1, "pack": "is15960"}, 409, "there is no pack 'is15960'"),
        ("GET", "/systems/none", {}, 404, "there is no system 'none'"),
        ("DELETE", "/systems/none", {}, 404, "there is no system 'none'"),
        ("POST", "/systems/none/reset", {}, 404, "there is no system 'none'"),
    ):
        assert ask(kit, method, path, **body)[0] == status, path
        assert said in str(ask(kit, method, path, **body)[1])
    paths = kit.get("/openapi.json").json()["paths"]
    assert "/api/v1/systems/{identifier}/expect/reply" in paths and all(
        one.get("summary") for path in paths.values() for one in path.values()
    )


XML = {"Content-Type": "text/xml"}
ORDER = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>create</Verb><Noun>EndDeviceControls</Noun><Timestamp>2026-01-15T00:00:00Z</Timestamp><Source>another language</Source>
<AsyncReplyFlag>true</AsyncReplyFlag><ReplyAddress>{late}</ReplyAddress><MessageID>order-1</MessageID><CorrelationID>order-1</CorrelationID></Header>
<Payload><EndDeviceControls xmlns="http://iec.ch/TC57/2011/EndDeviceControls#"><EndDeviceControl>
<EndDeviceControlType ref="3.31.0.23"/><EndDevices><Names><name>M1001</name></Names></EndDevices>
</EndDeviceControl></EndDeviceControls></Payload>
</RequestMessage></e:Body></e:Envelope>"""
