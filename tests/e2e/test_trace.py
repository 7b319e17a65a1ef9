"""From the MessageID of the envelope to every APDU on the wire: real processes, with LOG_APDUS."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from harness import System
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid


def test_every_apdu_of_a_request_says_its_message_id_and_its_meter(ami: System) -> None:
    dialler = ami.meter("M1002")
    dialler["address"] = "dials-in"
    dialler["simulated"]["dial_to"] = f"127.0.0.1:{ami.config['hes']['dlms_port']}"
    ami.config["hes"]["log_apdus"] = True
    hes = ami.start().hes
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
        assert directions.count("request") == directions.count("response") > 6
