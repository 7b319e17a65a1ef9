"""From the MessageID of the envelope to every APDU on the wire: real processes, with LOG_APDUS."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from harness import System
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

from ami_cli.decoding import decode

ROLES = {"ami_cis": "cis", "ami_hes": "hes", "ami_meter_sim": "meter"}


def test_every_apdu_of_a_request_says_its_message_id_and_its_meter(ami: System) -> None:
    dialler = ami.meter("M1002")
    dialler["address"] = "dials-in"
    dialler["simulated"]["dial_to"] = f"127.0.0.1:{ami.config['hes']['dlms_port']}"
    ami.config["hes"]["log_apdus"] = True
    hes = ami.start_together().hes
    assert hes is not None
    hes.wait_for("dialled_in", meter="M1002")
    recognised = hes.seen("apdu")
    assert recognised and {event["message_id"] for event in recognised} == {None}

    ordered = {"first": ("M1001", DISCONNECT), "second": ("M1002", CONNECT), "third": ("M1001", CONNECT)}

    def switch(message_id: str) -> None:
        name, code = ordered[message_id]
        assert Stranger(ami.hes_url).switch(code, [by_mrid(ami.meter(name))], message_id=message_id).result == "OK"

    together = [threading.Thread(target=switch, args=(message_id,)) for message_id in ("first", "second")]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    switch("third")
    done = hes.wait_for_some("meter_done", 3)
    assert {event["message_id"]: event["meter"] for event in done} == {
        message_id: name for message_id, (name, _) in ordered.items()
    }

    of_each: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in hes.seen("apdu")[len(recognised) :]:
        of_each[event["message_id"]].append(event)
    assert of_each.keys() == ordered.keys(), "no APDU of a request without its MessageID"
    for message_id, (name, _) in ordered.items():
        assert {event["meter"] for event in of_each[message_id]} == {name}
        directions = [event["direction"] for event in of_each[message_id]]
        assert directions.count("request") == directions.count("response") >= 6, (
            "the 12 frames of a known meter, or more"
        )


def test_every_line_of_a_run_is_a_declared_event(ami: System) -> None:
    """What docs/events.md says and what `ami` reads is what the processes print: names, fields and types."""
    ami.config["hes"]["log_apdus"] = True
    ami.config["demo"] |= {"period_s": 0.2, "connect_after_s": 0.1, "cycles": 1}
    ami.meter("M1001")["simulated"] |= {"push_to": f"tcp://127.0.0.1:{ami.config['hes']['dlms_port']}"}
    ami.meter("M1002")["simulated"] |= {"lie_about_action": True}
    ami.start_together()
    assert ami.hes is not None
    cis = ami.start_cis()
    cis.wait_for("done")
    ami.hes.wait_for("notification")
    Stranger(ami.hes_url).switch(DISCONNECT, [{"Names": [{"name": "M9999"}]}])
    ami.hes.wait_for("request_refused")
    for process in ami.processes:
        process.stop()
        role = ROLES[process.name.split()[0]]
        assert process.events and not [line for line in process.events if decode(role, line) is None]
    assert {"request_sent", "reply_received", "done"} <= {event["event"] for event in cis.events}
    assert {"ready", "apdu", "request_accepted", "meter_done", "reply_sent"} <= {e["event"] for e in ami.hes.events}
